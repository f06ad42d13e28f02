"""Fusing the channels' ranked lists into one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from indexing.reader import Hits

K = 60  # of reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009


def weights(question: str, ranked: Mapping[str, Hits]) -> dict[str, float]:
    """How much each channel counts for this question; they sum to 1."""
    return {name: 1 / len(ranked) for name in ranked}


def fuse(ranked: Mapping[str, Hits], weights: Mapping[str, float]) -> list[tuple[int, float]]:
    """(row, fused score), best first: weighted reciprocal ranks; ties by row."""
    scores: dict[int, float] = {}
    for name, hits in ranked.items():
        for rank, (row, _) in enumerate(hits, 1):
            scores[row] = scores.get(row, 0.0) + weights[name] / (K + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
