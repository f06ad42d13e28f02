"""Reranking: the retriever's best chunks in a new order, by what the reader made of each. Pure.

The reader's heads tell whether a chunk bears on the question and answers it. A linear score weighs their logits against
the score of the fusion; its weights are fitted by `python -m rag.training.fit_rerank` and stand in calibration.json.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rag.calibration import RerankWeights
from rag.reading import judged
from rag.types import ChannelRank, Context

DEPTH = 20  # chunks of the retriever that are read
# How far below the best chunk of a list the reader's logits may put another one: without such a floor a chunk that both
# channels rank first is lost to the reader alone. Values from 4 to 8 do as well: python -m rag.training.fit_rerank.
FLOOR = 6.0
FEATURES = ("fused", "reader")


def rerank(context: Context, fitted: RerankWeights) -> Context:
    """The context with the evidence that was read first, best first, and behind it the rest as it was.

    Each piece that was read gets the channel `rerank` with its new rank and its score.
    """
    rows = features(context)
    scores = {number: round(float(np.dot(row, fitted.weights)), 4) for number, row in rows.items()}
    order = sorted(scores, key=lambda number: (-scores[number], number))
    evidence = list(context.evidence)
    for rank, number in enumerate(order, 1):
        channels = {**evidence[number].channels, "rerank": ChannelRank(rank, scores[number])}
        evidence[number] = replace(evidence[number], channels=channels)
    rest = [number for number in range(len(evidence)) if number not in scores]
    return replace(context, evidence=tuple(evidence)).select([*order, *rest])


def features(context: Context) -> dict[int, tuple[float, float]]:
    """FEATURES of each piece of evidence that was read, by its number.

    fused: the score of the fusion. reader: the sum of its `evidence` and `answerable` logits, below the largest of all.
    """
    logits = {number: judged(one) for number, one in enumerate(context.readings)}
    sums = {number: sum(pair) for number, pair in logits.items() if pair is not None}
    best = max(sums.values(), default=0.0)
    return {number: (context.evidence[number].score, max(total - best, -FLOOR)) for number, total in sums.items()}
