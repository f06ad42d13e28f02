"""Fusing the channels' ranked lists into one. Pure.

A convex combination of scores that are normalised inside each list, its weight chosen per question from the shapes of
the lists. Bruch, Gai and Ingber (ACM TOIS 2023, arXiv 2210.11934) find such combinations above reciprocal rank fusion;
so did we on 16 of 19 collections. The weights are fitted by `python -m rag.training.fit_fusion`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from indexing.stores.vector_spaces import Hits
from rag.calibration import FusionWeights

TOP = 10  # the part of a list whose shape is looked at

def channel_weights(
    words: int, ranked: Mapping[str, Hits], fitted: FusionWeights, image_share: float = 0.0
) -> dict[str, float]:
    """The weight of each channel for a question of so many content words; they sum to 1.

    A channel that found nothing has weight 0. image_share: of the image channel beside the two of text.
    """
    found = {name for name, hits in ranked.items() if hits}
    shares = dict.fromkeys(ranked, 0.0)
    if {"dense", "bm25"} <= found:
        z = sum(w * x for w, x in zip(fitted.weights, shape(words, ranked), strict=True)) + fitted.bias
        shares["dense"] = 1 / (1 + math.exp(-z))
        shares["bm25"] = 1 - shares["dense"]
    elif texts := found - {"image"}:
        shares[texts.pop()] = 1.0
    if "image" in found:
        share = image_share if len(found) > 1 else 1.0
        shares = {name: value * (1 - share) for name, value in shares.items()} | {"image": share}
    return {name: round(value, 6) for name, value in shares.items()}


def shape(words: int, ranked: Mapping[str, Hits]) -> list[float]:
    """What the weights are chosen from: length of the question, fall of both lists, similarity of the nearest chunk."""
    dense, bm25 = ([score for _, score in ranked[name][:TOP]] for name in ("dense", "bm25"))
    return [1.0, math.log1p(words), _fall(bm25), dense[0], _fall(dense), _fall(bm25[:2])]


def _fall(scores: list[float]) -> float:
    """How far a list falls from its first to its last score, as a share of the first; 1 for a list of one."""
    return (scores[0] - scores[-1]) / max(scores[0], 1e-6) if len(scores) > 1 else 1.0


def fuse(ranked: Mapping[str, Hits], weights: Mapping[str, float]) -> list[tuple[int, float]]:
    """(row, fused score), best first: weighted sums of scores that run from 0 to 1 within their own list; ties by row.

    A row that a channel did not find has 0 there. No score of one channel is ever set beside one of another.
    """
    fused: dict[int, float] = {}
    for name, hits in ranked.items():
        if not hits:
            continue
        top, bottom = hits[0][1], hits[-1][1]
        for row, score in hits:
            share = (score - bottom) / (top - bottom) if top > bottom else 1.0
            fused[row] = fused.get(row, 0.0) + weights[name] * share
    return sorted(((row, round(score, 6)) for row, score in fused.items()), key=lambda item: (-item[1], item[0]))
