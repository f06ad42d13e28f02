"""Fits and measures the fusion of dense search and BM25: `python -m rag.training.fit_fusion COLLECTIONS [--work DIR]`.

In: folders as rag.training.make_collections writes them; their indexes are kept in --work. Fits on each qrels/train.tsv
and prints nDCG@10 on qrels/test.tsv: of both channels, of plain RRF, and of the fused list with the weights of
calibration.json, with those fitted now on all collections, and with those fitted on all others (leave one out).
--write writes the group `fusion` of calibration.json.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from indexing.build.run import build
from rag.calibration import calibration, update
from rag.pipeline import RagPipeline
from rag.retrieve import fusion
from rag.understand import match_expression, understand

DEPTH = 100  # chunks of each channel
CANDIDATES = 60  # documents per query that the loss sees
QUERIES = 200  # of each split
PENALTY = 0.003  # of the squared weights, but for the constant
ABSENT = 10**9  # rank of a document that a channel did not find
RRF_CONSTANT = 60  # Cormack, Clarke and Buettcher (SIGIR 2009)


@dataclass(frozen=True)
class Query:
    """One query of a collection: its features, and for c candidate documents the scores of both channels, 0..1."""

    split: str
    shape: np.ndarray  # (f,), rag.retrieve.fusion.shape
    dense: np.ndarray  # (c,)
    bm25: np.ndarray  # (c,)
    ranks: np.ndarray  # (2, c)
    relevant: np.ndarray  # (c,) bool
    ideal: int  # relevant documents in the collection


def best_of_document(hits: list[tuple[int, float]], names: dict[int, str]) -> dict[str, float]:
    """Document -> the score of its best chunk, best first. hits: (row, score), best first. names: row -> document."""
    best: dict[str, float] = {}
    for row, score in hits:
        best.setdefault(names[row], score)
    return best


def normalised(found: dict[str, float], ids: list[str]) -> np.ndarray:
    """Scores of these documents (c,) between the lowest, 0, and the highest found, 1; 0 where it was not found."""
    if not found:
        return np.zeros(len(ids))
    low, high = min(found.values()), max(found.values())
    return np.array([(found[id] - low) / max(high - low, 1e-9) if id in found else 0.0 for id in ids])


def collect(folder: Path, work: Path) -> list[Query]:
    """The queries of both splits of a collection, which is indexed in `work`."""
    build([folder / "corpus.jsonl"], work / folder.name)
    rag = RagPipeline.from_index(work / folder.name)
    texts = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").open())}
    made = []
    for split in ("train", "test"):
        relevant: dict[str, set[str]] = {}
        for line in (folder / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
            query, document, _ = line.split("\t")
            relevant.setdefault(query, set()).add(document)
        asked = (_query(rag, split, texts[query], documents) for query, documents in list(relevant.items())[:QUERIES])
        made += [query for query in asked if query]
    return made


def _query(rag: RagPipeline, split: str, text: str, documents: set[str]) -> Query | None:
    """What both channels find; None where one finds nothing. documents: the relevant ones."""
    asked = understand(text)
    hits = {
        "dense": rag.index.nearest(rag.embedder.encode_queries([text])[0], DEPTH),
        "bm25": rag.index.matching(match_expression(asked), DEPTH),
    }
    if not all(hits.values()):
        return None
    chunks = rag.index.chunks(sorted({row for found in hits.values() for row, _ in found}))
    names = {row: chunk.locator.document.rpartition("#")[2] for row, chunk in chunks.items()}
    channels = [best_of_document(found, names) for found in hits.values()]
    ids = sorted({id for found in channels for id in found})
    places = [{id: place for place, id in enumerate(found, 1)} for found in channels]
    ranks = np.array([[place.get(id, ABSENT) for id in ids] for place in places])
    dense, bm25 = (normalised(found, ids) for found in channels)
    relevant = np.array([id in documents for id in ids])
    shape = np.array(fusion.shape(len(asked.words), hits))
    return Query(split, shape, dense, bm25, ranks, relevant, len(documents))


def ndcg(query: Query, scores: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")[:10]
    gain = sum(1 / math.log2(i + 2) for i, place in enumerate(order) if query.relevant[place])
    return gain / sum(1 / math.log2(i + 2) for i in range(min(10, query.ideal)))


def fit(collections: list[list[Query]]) -> tuple[np.ndarray, float]:
    """(weights (f,), bias) that minimise the softmax cross-entropy of the relevant candidates.

    Every collection weighs the same, however many queries it has.
    """
    shapes, scores, targets, shares = [], [], [], []
    for queries in collections:
        training = [query for query in queries if query.split == "train"]
        for query in training:
            kept = np.argsort(-(query.dense + query.bm25))[:CANDIDATES]
            if query.relevant[kept].any():
                room = CANDIDATES - len(kept)
                shapes.append(query.shape)
                channels = (query.dense[kept], query.bm25[kept])
                scores.append([np.pad(channel, (0, room), constant_values=-9) for channel in channels])
                targets.append(np.pad(query.relevant[kept], (0, room)))
                shares.append(1 / len(training))
    x, s = torch.tensor(np.array(shapes)).float(), torch.tensor(np.array(scores)).float()  # (n, f), (n, 2, CANDIDATES)
    y = torch.tensor(np.array(targets))  # (n, CANDIDATES)
    share = torch.tensor(shares).float() / sum(shares)
    mean, spread = x.mean(0), x.std(0)
    mean[0], spread[0] = 0, 1  # the constant
    theta, sharpness = torch.zeros(x.shape[1], requires_grad=True), torch.tensor(2.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([theta, sharpness], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        w = torch.sigmoid((x - mean) / spread @ theta)[:, None]
        logs = torch.log_softmax((w * s[:, 0] + (1 - w) * s[:, 1]) * sharpness.exp(), 1)
        value = -(share * torch.logsumexp(logs.masked_fill(~y, -1e9), 1)).sum() + PENALTY * theta[1:].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    weights = (theta.detach() / spread).numpy()
    return weights, float(-(theta.detach() * mean / spread)[1:].sum())


def rrf(query: Query) -> np.ndarray:
    return (1 / (RRF_CONSTANT + query.ranks)).sum(0)


def fused(query: Query, model: tuple[np.ndarray, float]) -> np.ndarray:
    w = 1 / (1 + np.exp(-(query.shape @ model[0] + model[1])))
    return w * query.dense + (1 - w) * query.bm25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path)
    parser.add_argument("--work", type=Path, default=Path("index/fusion"))
    parser.add_argument("--write", action="store_true", help="write calibration.json")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    folders = sorted(path.parent for path in options.collections.glob("*/corpus.jsonl"))
    data = {folder.name: collect(folder, options.work) for folder in folders}
    everything = fit(list(data.values()))
    fitted = calibration().fusion
    shipped = np.array(fitted.weights), fitted.bias
    print("| collection | queries | BM25 | dense | RRF | shipped | fitted | left out |")
    print("|---|---|---|---|---|---|---|---|")
    totals = []
    for name, queries in data.items():
        test = [query for query in queries if query.split == "test"]
        others = fit([rows for other, rows in data.items() if other != name])
        models = (partial(fused, model=model) for model in (shipped, everything, others))
        scores = (lambda q: q.bm25, lambda q: q.dense, rrf, *models)
        row = [np.mean([ndcg(query, score(query)) for query in test]) for score in scores]
        totals.append(row)
        print(f"| {name} | {len(test)} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    print("| mean | | " + " | ".join(f"{value:.3f}" for value in np.mean(totals, 0)) + " |")
    found = {"weights": np.round(everything[0], 4).tolist(), "bias": round(float(everything[1]), 4)}
    print(f"\n{found}")
    if options.write:
        update("fusion", found, "python -m rag.training.fit_fusion COLLECTIONS --write")


if __name__ == "__main__":
    main()
