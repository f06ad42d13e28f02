"""What a reading costs: floating point operations by the shapes of what is multiplied, a multiplication and its addition being two; and bytes read."""

from __future__ import annotations

from typing import NamedTuple

WIDTH, INNER, LAYERS = 384, 1536, 6  # of MiniLM


class Spent(NamedTuple):
    flops: int = 0
    bytes: int = 0  # of weights in int8 and of states in float16
    routed: int = 0  # times that a token came to a router, or to a layer that has none
    null: int = 0  # of these, how often it went to a null expert
    kept: int = 0  # blocks whose lower states had been kept


def layers(count: int, tokens: int, null: int = 0) -> int:
    """Of so many layers over one sequence: four projections, two attention products, two matrices of the feed-forward network, which `null`
    times is not computed for a token.
    """
    return count * (8 * tokens * WIDTH * WIDTH + 4 * tokens * tokens * WIDTH) + 4 * (count * tokens - null) * WIDTH * INNER


def weights(count: int) -> int:
    """Bytes of so many layers' matrices in int8."""
    return count * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)


def states(tokens: int) -> int:
    """Bytes of so many tokens' states in float16."""
    return 2 * tokens * WIDTH
