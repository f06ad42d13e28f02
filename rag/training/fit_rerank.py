"""Fits the reranker's linear score over rag.rerank.FEATURES, and measures it beside the channels and their fusion.

    python -m rag.training.fit_rerank COLLECTIONS WORK [--questions N] [--write] [--json]

COLLECTIONS: BEIR folders (python -m rag.training.make_collections makes some). WORK: keeps an index and the features of
each. Fitted on are the questions of qrels/train.tsv, and every second one of qrels/test.tsv, of documents that the
reader was not trained on; every figure that is printed is of the others. `left out` is fitted without the collection
that it is measured on. A document ranks by its best chunk. The loss is the softmax cross-entropy of the relevant
candidates, in which every collection weighs the same.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from indexing.build.run import build
from rag import reading
from rag.calibration import calibration, update
from rag.pipeline import RagPipeline
from rag.rerank import DEPTH, FEATURES, candidates
from rag.understand import understand

PENALTY, STATE_PENALTY = 1e-3, 0.03  # of the squared weights, over features and states of unit variance
CHANNELS = ("bm25", "dense", "fused")
COMMAND = "python -m rag.training.fit_rerank COLLECTIONS WORK --write"


@dataclass(frozen=True)
class Collection:
    """n candidates of all questions. ideal[i]: how many documents answer the question of candidate i.

    seconds: (questions,) of reading DEPTH candidates.
    """

    question: np.ndarray  # (n,) int: its number, ascending
    document: np.ndarray  # (n,) int
    relevant: np.ndarray  # (n,) bool
    ideal: np.ndarray  # (n,) int
    ranks: np.ndarray  # (n, CHANNELS) int, a large one where the channel did not find the chunk
    features: np.ndarray  # (n, FEATURES)
    states: np.ndarray  # (n, W) float16
    learned: np.ndarray  # (n,) bool: of train.tsv
    seconds: np.ndarray

    def of(self, question: int) -> slice:
        first, last = np.searchsorted(self.question, [question, question + 1])
        return slice(int(first), int(last))

    def fitted(self) -> list[slice]:
        """The candidates of each question that is fitted on."""
        return [mine for number, mine in self._questions() if self.learned[mine.start] or number % 2 == 0]

    def held_out(self) -> list[slice]:
        """The candidates of each question that is measured on."""
        return [mine for number, mine in self._questions() if not self.learned[mine.start] and number % 2]

    def _questions(self) -> list[tuple[int, slice]]:
        return [(int(number), self.of(int(number))) for number in np.unique(self.question)]


def collect(folder: Path, work: Path, questions: int) -> Collection:
    """The candidates of a collection's questions, from WORK where it has them."""
    saved = work / f"{folder.name}-{questions}.npz"
    if not saved.exists():
        build([folder / "corpus.jsonl"], work / folder.name)
        rows = _candidates(folder, RagPipeline.from_index(work / folder.name), questions)
        np.savez(saved, **rows)
    with np.load(saved, allow_pickle=False) as arrays:
        return Collection(**arrays)


def _candidates(folder: Path, rag: RagPipeline, questions: int) -> dict[str, np.ndarray]:
    reader = reading.reader_opener("", "", calibration())(rag.index)
    texts = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").open())}
    asked = [(*one, split == "train") for split in ("test", "train") for one in _qrels(folder, split)[:questions]]
    rows, states, seconds, numbers = [], [], [], {}
    for number, (name, right, learned) in enumerate(tqdm(asked, desc=folder.name, mininterval=20)):
        query = understand(texts[name])
        found = rag.candidates(query, DEPTH)
        began = time.perf_counter()
        read = reading.read(query, found, reader, DEPTH, math.inf)
        seconds.append(time.perf_counter() - began)
        for at, one in candidates(read).items():
            piece = read.evidence[at]
            document = piece.document.rpartition("#")[2]
            ranks = [piece.channels[name].rank if name in piece.channels else math.inf for name in ("bm25", "dense")]
            known = numbers.setdefault(document, len(numbers))
            rows.append([number, known, document in right, len(right), learned, *ranks, at + 1, *one.values])
            states.append(one.state)
    table = np.array(rows, np.float64)
    return {
        "question": table[:, 0].astype(int), "document": table[:, 1].astype(int), "relevant": table[:, 2] > 0,
        "ideal": table[:, 3].astype(int), "learned": table[:, 4] > 0, "ranks": table[:, 5:8], "features": table[:, 8:],
        "states": np.array(states, np.float16), "seconds": np.array(seconds),
    }  # fmt: skip


def _qrels(folder: Path, split: str) -> list[tuple[str, set[str]]]:
    """The queries of a split with the ids of the documents that answer them."""
    answers: dict[str, set[str]] = {}
    for line in (folder / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
        query, document, _ = line.split("\t")
        answers.setdefault(query, set()).add(document)
    return [*answers.items()]


def figures(made: Collection, mine: slice, scores: np.ndarray) -> tuple[float, float]:
    """(nDCG@10, recall@5) of one question, from the scores (n,) of its candidates."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(made.document[mine][order], return_index=True)
    ranked = made.relevant[mine][order][np.sort(first)]
    ideal = int(made.ideal[mine][0])
    gain = sum(1 / math.log2(rank + 2) for rank, right in enumerate(ranked[:10]) if right)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, ideal))), ranked[:5].sum() / min(5, ideal)


def fit(collections: list[Collection]) -> tuple[np.ndarray, np.ndarray]:
    """The weights of FEATURES, and of the states (W,)."""
    chosen = [
        (np.concatenate([made.features[mine], made.states[mine]], 1).astype(np.float32), made.relevant[mine],
         1 / len(made.fitted()))
        for made in collections for mine in made.fitted() if made.relevant[mine].any()
    ]  # fmt: skip
    spread = np.concatenate([values for values, _, _ in chosen]).std(0) + 1e-9
    shape = len(chosen), max(len(values) for values, _, _ in chosen)
    x, there, right = np.zeros((*shape, len(spread)), np.float32), np.zeros(shape, bool), np.zeros(shape, bool)
    for row, (values, relevant, _) in enumerate(chosen):
        x[row, : len(values)], there[row, : len(values)], right[row, : len(values)] = values / spread, True, relevant
    share = np.array([weight for _, _, weight in chosen]) / sum(weight for _, _, weight in chosen)
    flat = x.reshape(-1, len(spread))
    penalty = np.where(np.arange(len(spread)) < len(FEATURES), PENALTY, STATE_PENALTY)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = (flat @ weights.astype(np.float32)).reshape(shape).astype(np.float64)
        whole, some = (_softmax(np.where(mask, scores, -np.inf)) for mask in (there, right))
        slope = flat.T @ (share[:, None] * (whole[0] - some[0])).astype(np.float32).ravel()
        value = float(share @ (whole[1] - some[1])) + float(penalty @ weights**2)
        return value, slope.astype(np.float64) + 2 * penalty * weights

    found = minimize(loss, np.zeros(len(spread)), jac=True, method="L-BFGS-B").x / spread
    return found[: len(FEATURES)], found[len(FEATURES) :]


def _softmax(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, m) scores -> their softmax and the logarithm of its divisor, (n,)."""
    largest = scores.max(1, keepdims=True)
    powers = np.exp(scores - largest)
    return powers / powers.sum(1, keepdims=True), largest[:, 0] + np.log(powers.sum(1))


def measured(made: Collection, *fitted: tuple[np.ndarray, np.ndarray]) -> dict[str, list[float]]:
    """(nDCG@10, recall@5) of each ranking over the questions that were not fitted on. fitted: as `fit` gives them."""
    scores = {name: -made.ranks[:, at] for at, name in enumerate(CHANNELS)}
    for name, (weights, state) in zip(("reranked", "left out"), fitted, strict=True):
        scores[name] = made.features @ weights + made.states.astype(np.float64) @ state
    return {
        name: np.mean([figures(made, mine, values[mine]) for mine in made.held_out()], 0).tolist()
        for name, values in scores.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--questions", type=int, default=200, help="of each collection and split (200)")
    parser.add_argument("--write", action="store_true", help="write calibration.json")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    folders = [folder for folder in sorted(options.collections.iterdir()) if (folder / "corpus.jsonl").exists()]
    data = {folder.name: collect(folder, options.work, options.questions) for folder in folders}
    weights = fit(list(data.values()))
    table = {}
    for name, made in data.items():
        others = fit([rows for other, rows in data.items() if other != name])
        table[name] = measured(made, weights, others)
    names = list(table[folders[0].name])
    table["mean"] = {name: np.mean([row[name] for row in table.values()], 0).tolist() for name in names}
    milliseconds = 1000 * float(np.median(np.concatenate([made.seconds for made in data.values()])))
    fitted = dict(zip(FEATURES, np.round(weights[0], 4).tolist(), strict=True))
    if options.json:
        print(json.dumps({"figures": table, "weights": fitted, "milliseconds": milliseconds}))
    else:
        print("| collection | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
        for collection, row in table.items():
            print(f"| {collection} | " + " | ".join(f"{row[name][0]:.3f} {row[name][1]:.3f}" for name in names) + " |")
        print(f"nDCG@10 and recall@5 each; {milliseconds:.0f} ms to read {DEPTH} chunks, in the median\n{fitted}")
    if options.write:
        values = {"weights": np.round(weights[0], 4).tolist(), "state": np.round(weights[1], 4).tolist()}
        update("rerank", values, COMMAND)


if __name__ == "__main__":
    main()
