"""Fits and measures the quoting generator on question sets; writes rag/quote_weights.py.

    python bench/fit_quote.py DATA COLLECTIONS_WORK [--cache FILE] [--write]

COLLECTIONS_WORK holds the indexes that bench/fit_fusion.py made, one per set. Sentence weights are fitted on DATA/qa/train,
where each question is asked of its own collection. The regression of confidence is fitted there too, on questions that
are answerable, unanswerable as marked, asked of another collection, or asked with their own passage taken out. The
threshold is the one with the best balanced accuracy of abstaining on DATA/qa/dev, put together in the same way.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import pickle
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from rag import context, support
from rag.generators.quote import read
from rag.pipeline import RagPipeline

SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "policyqa", "doc2dial_val", "covidqa", "fairytaleqa", "wtq", "tatqa", "medquad")
QUESTIONS = {"train": 120, "dev": 80}  # of each set and kind


@dataclass
class Case:
    """A question with what its evidence shows. kind: answerable, marked, elsewhere, removed."""

    name: str
    split: str
    kind: str
    attempt: object
    correct: np.ndarray  # (n,) bool: the sentence stands in the right passage and holds an answer


def rows(data: Path, name: str, split: str) -> list[dict]:
    with gzip.open(data / "qa" / split / f"{name}.jsonl.gz", "rt") as file:
        found = [json.loads(line) for line in file]
    random.Random(1).shuffle(found)
    return found


def key(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def attempt(rag: RagPipeline, question: str, without: str = "") -> object:
    evidence = [piece for piece in rag.search(question, rag.config.top_k) if not without or not piece.document.endswith(without)]
    packed = context.pack(evidence, rag.config.context_tokens, rag.reader)
    return read(question, packed, rag.embedder, rag.reader)


def correct(tried, row: dict) -> np.ndarray:
    answers = [" ".join(answer["text"].lower().split()) for answer in row["answers"] if answer["text"].strip()]
    own = key(row["context"])
    marks = []
    for owner, (start, end) in zip(tried.owner, tried.spans, strict=True):
        piece = tried.evidence[owner]
        text = " ".join(piece.text[start:end].lower().split())
        marks.append(piece.document.endswith(own) and any(answer in text or (len(text) > 20 and text in answer) for answer in answers))
    return np.array(marks, bool)


def cases(data: Path, work: Path) -> list[Case]:
    made = []
    for at, name in enumerate(SETS):
        rag = RagPipeline.from_index(work / name)
        for split, count in QUESTIONS.items():
            found = [row for row in rows(data, name, split) if len(row["question"]) < 400]
            plain = [row for row in found if not row["unanswerable"] and row["kind"] in ("extractive", "table", "freeform")][:count]
            for row in plain:
                question = row["question"].split("user:")[-1]
                tried = attempt(rag, question)
                made.append(Case(name, split, "answerable", tried, correct(tried, row)))
            for row in plain[: count // 2]:
                tried = attempt(rag, row["question"].split("user:")[-1], without=key(row["context"]))
                made.append(Case(name, split, "removed", tried, np.zeros(len(tried.spans), bool)))
            marked = [row["question"].split("user:")[-1] for row in found if row["unanswerable"]][: count // 2]
            other = [row["question"].split("user:")[-1] for row in rows(data, SETS[(at + 3) % len(SETS)], split)][: count // 3]
            for kind, questions in (("marked", marked), ("elsewhere", other)):
                for question in questions:
                    tried = attempt(rag, question)
                    made.append(Case(name, split, kind, tried, np.zeros(len(tried.spans), bool)))
        print(name, len(made), flush=True)
    return [case for case in made if case.attempt.spans]


def fit(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(features), labels, sample_weight=weights)
    slopes = model.coef_[0] / scaler.scale_
    return slopes, float(model.intercept_[0] - slopes @ scaler.mean_)


def answer_rows(chosen: list[Case], sentence: tuple[np.ndarray, float]) -> tuple[np.ndarray, np.ndarray]:
    """ANSWER_FEATURES of each case, and whether its best sentence is correct."""
    features, right = [], []
    for case in chosen:
        tried = case.attempt
        chances = support.probability(tried.features, *sentence)
        best = int(np.argmax(chances))
        features.append(support.answer_features(tried.question, chances, tried.features, best, tried.evidence, tried.owner))
        right.append(bool(case.correct[best]))
    return np.array(features), np.array(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--write", action="store_true", help="write rag/quote_weights.py")
    options = parser.parse_args()
    if options.cache and options.cache.exists():
        everything = pickle.loads(options.cache.read_bytes())
    else:
        everything = cases(options.data, options.work)
        if options.cache:
            options.cache.write_bytes(pickle.dumps(everything))
    train, dev = ([case for case in everything if case.split == split] for split in ("train", "dev"))

    usable = [case for case in train if case.kind == "answerable" and case.correct.any()]
    features = np.concatenate([case.attempt.features for case in usable])
    labels = np.concatenate([case.correct for case in usable])
    shares = np.concatenate([np.full(len(case.correct), 1 / len(case.correct)) for case in usable])
    sentence = fit(features, labels, shares / shares.mean())

    x, right = answer_rows(train, sentence)
    answer = fit(x, right)
    x, right = answer_rows(dev, sentence)
    confidence = support.probability(x, *answer)
    answerable = np.array([case.kind == "answerable" for case in dev])
    reachable = np.array([case.correct.any() for case in dev])
    print(f"dev: {len(dev)} questions; right sentence among the evidence for {reachable[answerable].mean():.3f} of the answerable")
    print(f"best sentence right: {right[answerable].mean():.3f} of answerable, {right[reachable].mean():.3f} where it was there")
    print(f"AUROC of confidence: right quote {roc_auc_score(right, confidence):.3f}, answerable {roc_auc_score(answerable, confidence):.3f}")
    for kind in ("marked", "elsewhere", "removed"):
        chosen = np.array([case.kind in ("answerable", kind) for case in dev])
        print(f"  answerable against {kind}: {roc_auc_score(answerable[chosen], confidence[chosen]):.3f}")
    grid = np.round(np.arange(0.05, 0.8, 0.01), 2)
    threshold = float(grid[np.argmax([balanced_accuracy_score(answerable, confidence >= t) for t in grid])])
    shown = confidence >= threshold
    print(f"threshold {threshold}: balanced accuracy {balanced_accuracy_score(answerable, shown):.3f}")
    for kind in ("answerable", "marked", "elsewhere", "removed"):
        chosen = np.array([case.kind == kind for case in dev])
        print(f"  {kind}: {chosen.sum()} questions, abstained on {1 - shown[chosen].mean():.3f}")
    print(f"  right among the answered: {right[shown].mean():.3f} of all, {right[shown & answerable].mean():.3f} of the answerable")

    def listed(values: np.ndarray) -> str:
        return ", ".join(f"{value:.4f}" for value in values)

    text = (
        '"""Written by bench/fit_quote.py; do not edit. Regressions over rag.support\'s features."""\n\n'
        f"SENTENCE = ({listed(sentence[0])})\nSENTENCE_BIAS = {sentence[1]:.4f}\n"
        f"ANSWER = ({listed(answer[0])})\nANSWER_BIAS = {answer[1]:.4f}\nTHRESHOLD = {threshold}\n"
    )
    print(text)
    if options.write:
        (Path(__file__).parents[1] / "rag" / "quote_weights.py").write_text(text)


if __name__ == "__main__":
    main()
