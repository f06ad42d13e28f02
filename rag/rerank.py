"""Reranking: the retriever's best chunks in a new order, by what the reader made of each. Pure.

A linear score weighs the score of the fusion, the logits of the reader's heads (whether a chunk bears on the question,
and whether it answers it), and the state of which these judge: what the heads were not trained to say of it, a further
head reads. Its weights are fitted by `python -m rag.training.fit_rerank` and stand in calibration.json.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rag.calibration import RerankWeights
from rag.reading import judged, summary
from rag.types import ChannelRank, Context

DEPTH = 20  # chunks of the retriever that are read
# How far below the best chunk of a list a logit may put another one: without such a floor a chunk that both channels
# rank first is lost to the reader alone. Values from 4 to 8 do as well: python -m rag.training.fit_rerank.
FLOOR = 6.0
FEATURES = ("fused", "evidence", "answerable")


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A chunk that was read. values: FEATURES; state: (W,), None of a reader that keeps none."""

    values: tuple[float, ...]
    state: np.ndarray | None


def rerank(context: Context, fitted: RerankWeights) -> Context:
    """The context with the evidence that was read first, best first, and behind it the rest as it was.

    Each piece that was read gets the channel `rerank` with its new rank and its score.
    """
    scores = {number: round(score(one, fitted), 4) for number, one in candidates(context).items()}
    order = sorted(scores, key=lambda number: (-scores[number], number))
    evidence = list(context.evidence)
    for rank, number in enumerate(order, 1):
        channels = {**evidence[number].channels, "rerank": ChannelRank(rank, scores[number])}
        evidence[number] = replace(evidence[number], channels=channels)
    rest = [number for number in range(len(evidence)) if number not in scores]
    return replace(context, evidence=tuple(evidence)).select([*order, *rest])


def score(one: Candidate, fitted: RerankWeights) -> float:
    """Comparable only among the candidates of one question."""
    state = 0.0 if one.state is None else float(one.state.astype(np.float32) @ np.array(fitted.state, np.float32))
    return float(np.dot(one.values, fitted.weights)) + state


def candidates(context: Context) -> dict[int, Candidate]:
    """The pieces of evidence that were read, by their numbers.

    fused: the score of the fusion. evidence, answerable: logits of the heads, each below the largest of all.
    """
    logits = {number: judged(one) for number, one in enumerate(context.readings)}
    read = {number: pair for number, pair in logits.items() if pair is not None}
    best = [max((pair[head] for pair in read.values()), default=0.0) for head in (1, 0)]
    return {
        number: Candidate(
            (
                context.evidence[number].score,
                *(max(pair[head] - most, -FLOOR) for head, most in zip((1, 0), best, strict=True)),
            ),
            summary(context.readings[number]),
        )
        for number, pair in read.items()
    }
