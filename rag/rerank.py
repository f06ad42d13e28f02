"""Reranking: the retriever's best chunks in a new order, by what the reader made of each. Pure.

The reader's evidence head tells whether a chunk bears on the question. A linear score weighs its logits against the
scores of retrieval; the weights are fitted by `python -m rag.training.fit_rerank` and stand in calibration.json.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rag.calibration import RerankWeights
from rag.reading import judged
from rag.types import ChannelRank, Context, Evidence, Reading

DEPTH = 20  # chunks of the retriever that are read
FEATURES = ("fused", "dense", "evidence", "answerable")


def rerank(context: Context, fitted: RerankWeights) -> Context:
    """The context with the evidence that was read first, best first, and behind it the rest as it was.

    Each piece that was read gets the channel `rerank` with its new rank and its score.
    """
    rows = [features(piece, one) for piece, one in zip(context.evidence, context.readings, strict=True)]
    scores = {number: round(float(np.dot(row, fitted.weights)), 4) for number, row in enumerate(rows) if row}
    order = sorted(scores, key=lambda number: (-scores[number], number))
    evidence = list(context.evidence)
    for rank, number in enumerate(order, 1):
        channels = {**evidence[number].channels, "rerank": ChannelRank(rank, scores[number])}
        evidence[number] = replace(evidence[number], channels=channels)
    rest = [number for number in range(len(evidence)) if number not in scores]
    return replace(context, evidence=tuple(evidence)).select([*order, *rest])


def features(piece: Evidence, reading: Reading) -> list[float] | None:
    """FEATURES of a piece of evidence; None where it was not read."""
    logits = judged(reading)
    if logits is None:
        return None
    answerable, evidence = logits
    dense = piece.channels["dense"].score if "dense" in piece.channels else 0.0
    return [piece.score, dense, evidence, answerable]
