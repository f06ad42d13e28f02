"""Fits the classifier of question kinds: `python -m rag.training.fit_question_kinds DATA [--write]`.

Learns from wordings (question_templates.toml) and from the questions of DATA whose kind is known: arithmetic by its
derivation, yes/no sets, and sets of look-ups. Prints how many held-out questions of each kind are told right; template
questions are held out by template. --write: data/weights/question_kinds.safetensors.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rag.question_kind import END, FILE, NAME, NUMBER, SMALL_TALK, START, Kind, n_grams
from rag.word_lists import read_lists

LOOK_UPS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "covidqa", "policyqa", "fairytaleqa", "medquad", "tatqa")
YES_OR_NO = ("boolq_dev", "pubmedqa")
EACH = 700  # questions of a set at most
PER_TEMPLATE = 200
ARTICLE = 0.4  # of the names get one
ARTICLES = ("the", "a", "an", "any", "all", NAME)
LEAST = 4  # examples in which an n-gram must stand
COMMON = 0.0015  # share of the look-ups in which a word must stand so that it is not masked
PENALTY = 4.0  # inverse strength of the L2 penalty
_BRACES = re.compile(r"\{([^{}]*)\}")
_DERIVATIONS = (
    (re.compile(r"\(.*-.*\)/.*"), Kind.CHANGE), (re.compile(r"-?\(?[^()/]*\+[^()/]*\)?/\d"), Kind.MEAN),
    (re.compile(r"[^()+/]*-[^()+/]*"), Kind.DIFFERENCE), (re.compile(r"[^()/-]*\+[^()/-]*"), Kind.SUM),
    (re.compile(r"[^()+/-]*/[^()+/-]*"), Kind.RATIO), (re.compile(r".*##.*"), Kind.COUNT),
)  # fmt: skip
# A look-up that says one of these may ask for more: it teaches nothing.
_DOUBTFUL = re.compile(
    r"\b(how (do|to|can)|most|least|total|average|difference|between|percent\w*|ratio|list|name|more|than"
    r"|(high|low|larg|small|long|short|old|young)(er|est)|first|last|what are|which are|who are)\b",
    re.IGNORECASE,
)


def rows(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


def from_data(data: Path, split: str) -> dict[Kind, list[str]]:
    """The questions of DATA/qa/SPLIT whose kind is known."""
    found: dict[Kind, list[str]] = defaultdict(list)
    for names, kind in ((LOOK_UPS, Kind.LOOK_UP), (YES_OR_NO, Kind.YES_OR_NO)):
        for name in names:
            questions = list(dict.fromkeys(row["question"] for row in rows(data / "qa" / split / f"{name}.jsonl.gz")))
            random.Random(0).shuffle(questions)
            clear = [one for one in questions if kind is not Kind.LOOK_UP or not _DOUBTFUL.search(one)]
            found[kind] += clear[:EACH]
    for row in rows(data / "qa" / split / "tatqa_arithmetic.jsonl.gz"):
        if kind := of_derivation(row):
            found[kind].append(row["question"])
    return found


def of_derivation(row: dict) -> Kind | None:
    """The kind of an arithmetic question by how its answer was derived; None for what is none of ours."""
    derivation = row["derivation"].replace(" ", "").replace("[", "(").replace("]", ")")
    for pattern, kind in _DERIVATIONS:
        if pattern.fullmatch(derivation):
            asks_share = kind is Kind.RATIO and row["scale"] == "percent"
            return Kind.SHARE if asks_share else kind
    return None


def expanded(template: str, rng: random.Random) -> str:
    """One of the questions that a template stands for; a name may have an article."""
    while match := _BRACES.search(template):
        template = template[: match.start()] + rng.choice(match[1].split("|")) + template[match.end() :]
    words = template.split()
    bare = [word == NAME and before not in ARTICLES for before, word in itertools.pairwise(["", *words])]
    pairs = zip(bare, words, strict=True)
    return " ".join(f"the {word}" if free and rng.random() < ARTICLE else word for free, word in pairs)


def from_templates(held_out: bool) -> dict[Kind, list[str]]:
    """PER_TEMPLATE questions of each template; every sixth one is held out."""
    lists, rng = read_lists(Path(__file__).with_name("question_templates.toml")), random.Random(1)
    found: dict[Kind, list[str]] = defaultdict(list)
    for name, templates in lists.items():
        for number, template in enumerate(templates):
            if (number % 6 == 5) is held_out:
                made = {expanded(template, rng) + rng.choice(["?", "?", "", "."]) for _ in range(PER_TEMPLATE)}
                found[Kind(name)] += sorted(made)
    return found


def merged(*parts: dict[Kind, list[str]]) -> list[tuple[str, Kind]]:
    return [(question, kind) for part in parts for kind, questions in part.items() for question in questions]


def known_words(examples: list[tuple[str, Kind]]) -> frozenset[str]:
    """The words that are not masked: all of templates, and what is common among look-ups."""
    lists = read_lists(Path(__file__).with_name("question_templates.toml"))
    said = set(re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", " ".join(itertools.chain.from_iterable(lists.values())).lower()))
    looks = [question for question, kind in examples if kind is Kind.LOOK_UP]
    counts = Counter(word for question in looks for word in set(re.findall(r"[^\W\d_]+", question.lower())))
    return frozenset(said | {word for word, count in counts.items() if count >= COMMON * len(looks)}) - {NAME, NUMBER}


def small_talk() -> list[str]:
    """The words and signs of the templates of small talk."""
    lists = read_lists(Path(__file__).with_name("question_templates.toml"))
    said = " ".join(itertools.chain.from_iterable(lists[kind.value] for kind in SMALL_TALK))
    return sorted({*re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", said.lower()), *"?!,:"})


def matrix(examples: list[tuple[str, Kind]], vocabulary: dict[str, int], words: frozenset[str]):
    """(examples, n-grams), sparse: 1 where an example has an n-gram."""
    from scipy.sparse import csr_matrix

    columns = [[vocabulary[gram] for gram in n_grams(one, words) if gram in vocabulary] for one, _ in examples]
    starts = np.cumsum([0, *map(len, columns)])
    flat = list(itertools.chain.from_iterable(columns))
    return csr_matrix((np.ones(len(flat)), flat, starts), shape=(len(examples), len(vocabulary)))


def main() -> None:
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true", help="write the weights")
    options = parser.parse_args()
    learned = merged(from_data(options.data, "train"), from_templates(held_out=False))
    words = known_words(learned)
    counts = Counter(gram for question, _ in learned for gram in n_grams(question, words))
    grams = sorted(gram for gram, count in counts.items() if count >= LEAST and gram not in (NAME, NUMBER, START, END))
    vocabulary = {gram: row for row, gram in enumerate(grams)}
    share = Counter(kind for _, kind in learned)
    weights = [1 / share[kind] ** 0.85 for _, kind in learned]
    model = LogisticRegression(C=PENALTY, max_iter=2000)
    model.fit(matrix(learned, vocabulary, words), [kind.value for _, kind in learned], np.array(weights) * 400)
    for title, held in (("data", from_data(options.data, "dev")), ("templates", from_templates(held_out=True))):
        examples = merged(held)
        told = model.predict(matrix(examples, vocabulary, words))
        right, wrong = Counter(), Counter()
        for (_, kind), said in zip(examples, told, strict=True):
            right[kind] += said == kind.value
            wrong[kind.value, said] += said != kind.value
        print(title, {kind.value: f"{right[kind]}/{len(questions)}" for kind, questions in held.items()})
        print("  most often mistaken:", [(pair, count) for pair, count in wrong.most_common(8) if count])
    print(f"{len(grams)} n-grams, {len(words)} words, {len(learned)} questions")
    if options.write:
        everything = [*learned, *merged(from_templates(held_out=True))]
        weights += [1 / share[kind] ** 0.85 for _, kind in everything[len(learned) :]]
        kinds = [kind.value for _, kind in everything]
        model.fit(matrix(everything, vocabulary, words), kinds, np.array(weights) * 400)
        tensors = {"weights": model.coef_.T.astype(np.float16), "bias": model.intercept_.astype(np.float16)}
        tensors["weights"] = np.ascontiguousarray(tensors["weights"])
        meta = {"kinds": model.classes_.tolist(), "n_grams": grams, "words": sorted(words), "small_talk": small_talk()}
        save_file(tensors, FILE, {name: json.dumps(value) for name, value in meta.items()})


if __name__ == "__main__":
    main()
