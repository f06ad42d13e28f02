"""Cost of reading: floating point operations, counted from matrix shapes, and bytes read.

A multiplication and its addition are two operations. Counts those of the shipped encoder alone (MiniLM's shapes).
"""

from __future__ import annotations

from typing import NamedTuple

WIDTH, INNER, LAYERS = 384, 1536, 6  # of MiniLM


class Cost(NamedTuple):
    """Of one row of a batch, or of several."""

    flops: int = 0
    bytes: int = 0  # of weights in int8 and of states in float16
    routed: int = 0  # tokens times layers, summed over layers with a router and without
    null: int = 0  # of these, how many went to a null expert
    cached: int = 0  # blocks whose lower states came from the cache


def layers(count: int, tokens: int, null: int = 0) -> int:
    """Operations of `count` layers over one sequence.

    Four projections, two attention products, and the two matrices of the feed-forward network, which are left out
    `null` times (tokens times layers).
    """
    attention = count * (8 * tokens * WIDTH * WIDTH + 4 * tokens * tokens * WIDTH)
    return attention + 4 * (count * tokens - null) * WIDTH * INNER


def weights(count: int) -> int:
    """Bytes of so many layers' matrices in int8."""
    return count * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)


def states(tokens: int) -> int:
    """Bytes of so many tokens' states in float16."""
    return 2 * tokens * WIDTH
