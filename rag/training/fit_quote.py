"""Fits and measures the quoting generator on question sets; writes the group `quote` of calibration.json.

    python -m rag.training.fit_quote DATA COLLECTIONS_WORK [--write]

COLLECTIONS_WORK holds the indexes that rag.training.fit_fusion made, one per set. The ranking of sentences is fitted on
DATA/qa/train, where each question is asked of its own collection, whole and cut down to SMALL passages, and of one to
three chunks. The regression of confidence is fitted there too, to whether the evidence has an answer: over questions
that are answerable, marked as unanswerable, asked of another collection, or asked with their own passage removed. The
threshold is the lowest within one standard error of the best balanced accuracy of abstaining on DATA/qa/dev.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from indexing.build.run import build
from models.reader.extractive_reader import Reader
from rag import context, reading
from rag.calibration import calibration, update
from rag.generators.quote import sentence_features
from rag.generators.quote.comparison import Comparison, compare
from rag.logistic_regression import probability
from rag.pipeline import RagPipeline
from rag.rerank import DEPTH, rerank
from rag.understand import understand
from rag.words import stems

SETS = (
    "squad2_dev", "squad11_dev_rest", "qed_nq", "policyqa", "doc2dial_val", "covidqa", "fairytaleqa", "wtq", "tatqa",
    "medquad",
)  # fmt: skip
SMALL = 100  # passages of a small collection
QUESTIONS = {"train": 120, "dev": 80}  # of each set and kind


@dataclass
class Case:
    """A question with its evidence. kind: answerable, marked (as unanswerable), elsewhere, removed (its passage)."""

    name: str
    split: str
    kind: str
    attempt: Comparison
    correct: np.ndarray  # (n,) bool: the sentence stands in the right passage and holds an answer


def rows(data: Path, name: str, split: str) -> list[dict]:
    with gzip.open(data / "qa" / split / f"{name}.jsonl.gz", "rt") as file:
        found = [json.loads(line) for line in file]
    random.Random(1).shuffle(found)
    return found


def key(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def attempt(rag: RagPipeline, question: str, without: str = "", reader: Reader | None = None) -> Comparison:
    """The sentences of the evidence beside a question, as the pipeline compares them.

    without: the key of a passage that is taken out of the evidence. reader: reads and reranks the evidence first.
    """
    query = understand(question)
    found = rag.candidates(query, DEPTH if reader else rag.config.top_k)
    kept = [at for at, piece in enumerate(found.evidence) if not without or not piece.document.endswith(without)]
    found = found.select(kept)
    if reader:
        found = rerank(reading.read(query, found, reader, DEPTH, math.inf), calibration().rerank)
    return compare(query, context.fit(found, rag.config.top_k, rag.config.context_tokens), rag.embedder)


def correct(tried: Comparison, row: dict) -> np.ndarray:
    answers = [" ".join(answer["text"].lower().split()) for answer in row["answers"] if answer["text"].strip()]
    own = key(row["context"])
    marks = []
    for owner, (start, end) in zip(tried.owner, tried.spans, strict=True):
        piece = tried.evidence[owner]
        text = " ".join(piece.text[start:end].lower().split())
        holds = any(answer in text or (len(text) > 20 and text in answer) for answer in answers)
        marks.append(piece.document.endswith(own) and holds)
    return np.array(marks, bool)


def small_index(data: Path, work: Path, name: str) -> tuple[Path, set[str]]:
    """An index of SMALL passages of a set, the size of a personal folder, and the keys of these passages."""
    passages = sorted({row["context"] for split in QUESTIONS for row in rows(data, name, split)})
    chosen = random.Random(2).sample(passages, min(SMALL, len(passages)))
    folder = work / f"{name}-small"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"_id": key(text), "title": "", "text": text}) + "\n" for text in chosen]
    (folder / "corpus.jsonl").write_text("".join(lines))
    build([folder / "corpus.jsonl"], folder / "index")
    return folder / "index", {key(text) for text in chosen}


def cases(data: Path, work: Path) -> list[Case]:
    made = []
    for at, name in enumerate(SETS):
        small, kept = small_index(data, work, name)
        for split, count in QUESTIONS.items():
            found = [row for row in rows(data, name, split) if len(row["question"]) < 400]
            plain = [row for row in found if not row["unanswerable"]]
            plain = [row for row in plain if row["kind"] in ("extractive", "table", "freeform")]
            marked = [row for row in found if row["unanswerable"]]
            other = rows(data, SETS[(at + 3) % len(SETS)], split)
            inside = [row for row in plain if key(row["context"]) in kept]
            outside = [row for row in plain if key(row["context"]) not in kept]
            whole = RagPipeline.from_index(work / name)
            made += ask(
                whole, name, split, plain[:count], plain[: count // 2], marked[: count // 2], other[: count // 3],
            )
            half = count // 2
            part, elsewhere = RagPipeline.from_index(small), other[half : half + half // 3]
            made += ask(part, name, split, inside[:half], outside[: half // 2], [], elsewhere)
        print(name, len(made), flush=True)
    return [case for case in made if case.attempt.spans]


def ask(
    rag: RagPipeline,
    name: str,
    split: str,
    answerable: list[dict],
    removed: list[dict],
    marked: list[dict],
    elsewhere: list[dict],
) -> list[Case]:
    made = []
    kinds = {"answerable": answerable, "removed": removed, "marked": marked, "elsewhere": elsewhere}
    for kind, chosen in kinds.items():
        for row in chosen:
            without = key(row["context"]) if kind == "removed" else ""
            tried = attempt(rag, row["question"].split("user:")[-1], without=without)
            right = correct(tried, row) if kind == "answerable" else np.zeros(len(tried.spans), bool)
            made.append(Case(name, split, kind, tried, right))
    return made


def few(case: Case, rng: random.Random) -> Case:
    """The same question over one to three chunks, as when one file was dropped: with the right one, or the others."""
    tried = case.attempt
    right = {owner for owner, mark in zip(tried.owner, case.correct, strict=True) if mark}
    others = [owner for owner in dict.fromkeys(tried.owner) if owner not in right]
    kept = sorted(list(right)[:1] + rng.sample(others, min(len(others), rng.randint(0 if right else 1, 2))))
    places = [i for i, owner in enumerate(tried.owner) if owner in kept]
    held = [stems(tried.evidence[owner].text) for owner in kept]
    chunks = len(kept) + sentence_features.PRIOR
    rarity = {
        word: math.log(chunks / (0.5 + sum(word in words for words in held))) for word in tried.question.rarity
    }
    question = replace(tried.question, rarity=rarity)
    features = []
    for rank, owner in enumerate(kept):
        mine = [i for i in places if tried.owner[i] == owner]
        piece, opening = tried.evidence[owner], tried.context.surroundings[owner].opening
        texts = [piece.text[slice(*tried.spans[i])] for i in mine]
        vectors = tried.vectors[mine]
        made = np.array(sentence_features.chunk_features(question, piece, rank, opening, texts, vectors, vectors))
        made[:, 1] = tried.features[mine, 1]  # similarity under the headings, whose embeddings are not kept
        features.append(np.concatenate([made, tried.features[mine, made.shape[1] :]], 1))  # and what a reader found
    reduced = replace(
        tried, question=question, context=tried.context.select(kept),
        owner=[kept.index(tried.owner[i]) for i in places],
        spans=[tried.spans[i] for i in places], features=np.concatenate(features), vectors=tried.vectors[places],
        findings=[tried.findings[i] for i in places] if tried.findings else [],
    )
    correct = case.correct[places]
    kind = case.kind if case.kind != "answerable" or correct.any() else "removed"
    return Case(case.name, case.split, kind, reduced, correct)


def fit_ranking(chosen: list[Case]) -> np.ndarray:
    """Weights that make the correct sentences of each question win a softmax over all of its sentences."""
    stacked = np.concatenate([case.attempt.features for case in chosen])
    mean, spread = stacked.mean(0), stacked.std(0) + 1e-6
    longest = max(len(case.correct) for case in chosen)
    features = torch.zeros(len(chosen), longest, stacked.shape[1])
    correct, there = torch.zeros(2, len(chosen), longest, dtype=torch.bool)
    for i, case in enumerate(chosen):
        count = len(case.correct)
        features[i, :count] = torch.tensor((case.attempt.features - mean) / spread)
        correct[i, :count], there[i, :count] = torch.tensor(case.correct), True
    theta = torch.zeros(stacked.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([theta], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logs = torch.log_softmax((features @ theta).masked_fill(~there, -1e9), 1)
        value = -torch.logsumexp(logs.masked_fill(~correct, -1e9), 1).mean() + 0.01 * theta.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return theta.detach().numpy() / spread


def fit(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=0.1, max_iter=2000).fit(scaler.transform(features), labels)
    slopes = model.coef_[0] / scaler.scale_
    return slopes, float(model.intercept_[0] - slopes @ scaler.mean_)


def answer_rows(chosen: list[Case], sentence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ANSWER_FEATURES of each case, and whether its best sentence is correct."""
    features, right = [], []
    for case in chosen:
        tried = case.attempt
        scores = tried.features @ sentence
        best = int(np.argmax(scores))
        features.append(
            sentence_features.answer_features(
                tried.question, scores, tried.features, best, tried.evidence, tried.owner
            )
        )
        right.append(bool(case.correct[best]))
    return np.array(features), np.array(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--write", action="store_true", help="write calibration.json")
    options = parser.parse_args()
    everything = cases(options.data, options.work)
    rng = random.Random(3)
    everything += [few(case, rng) for case in everything if rng.random() < 0.4]
    train, dev = ([case for case in everything if case.split == split] for split in ("train", "dev"))

    usable = [case for case in train if case.kind == "answerable" and case.correct.any()]
    sentence = fit_ranking(usable)

    x, _ = answer_rows(train, sentence)
    answer = fit(x, np.array([bool(case.correct.any()) for case in train]))
    x, right = answer_rows(dev, sentence)
    confidence = probability(x, *answer)
    answerable = np.array([case.kind == "answerable" for case in dev])
    reachable = np.array([case.correct.any() for case in dev])
    there = f"{reachable[answerable].mean():.3f} of the answerable"
    print(f"dev: {len(dev)} questions; right sentence among the evidence for {there}")
    shares = f"{right[answerable].mean():.3f} of answerable, {right[reachable].mean():.3f} where it was there"
    print(f"best sentence right: {shares}")
    labels = {"right quote": right, "answerable": answerable, "answer among the evidence": reachable}
    areas = (f"{name} {roc_auc_score(truth, confidence):.3f}" for name, truth in labels.items())
    print(f"AUROC of confidence: {', '.join(areas)}")
    for kind in ("marked", "elsewhere", "removed"):
        chosen = np.array([case.kind in ("answerable", kind) for case in dev])
        print(f"  answerable against {kind}: {roc_auc_score(answerable[chosen], confidence[chosen]):.3f}")
    grid = np.round(np.arange(0.05, 0.8, 0.01), 2)
    accuracies = np.array([balanced_accuracy_score(answerable, confidence >= t) for t in grid])
    error = math.sqrt(accuracies.max() * (1 - accuracies.max()) / len(dev))
    # of thresholds that are as good, the one that abstains least
    threshold = float(grid[accuracies >= accuracies.max() - error].min())
    shown = confidence >= threshold
    print(f"threshold {threshold}: balanced accuracy {balanced_accuracy_score(answerable, shown):.3f}")
    for kind in ("answerable", "marked", "elsewhere", "removed"):
        chosen = np.array([case.kind == kind for case in dev])
        print(f"  {kind}: {chosen.sum()} questions, abstained on {1 - shown[chosen].mean():.3f}")
    shares = f"{right[shown].mean():.3f} of all, {right[shown & answerable].mean():.3f} of the answerable"
    print(f"  right among the answered: {shares}")

    fitted = {
        "sentence": np.round(sentence, 4).tolist(), "answer": np.round(answer[0], 4).tolist(),
        "bias": round(float(answer[1]), 4), "threshold": threshold,
    }  # fmt: skip
    print(fitted)
    if options.write:
        update("quote", fitted, "python -m rag.training.fit_quote DATA WORK --write")


if __name__ == "__main__":
    main()
