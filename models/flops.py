"""What a reading costs: floating point operations by the shapes of what is multiplied, a multiplication and its addition being two; and bytes read."""

from __future__ import annotations

from typing import NamedTuple

WIDTH, INNER, LAYERS = 384, 1536, 6  # of MiniLM


class Spent(NamedTuple):
    flops: int = 0
    bytes: int = 0  # of weights in int8 and of states in float16


def layers(count: int, tokens: int) -> int:
    """Of so many layers over one sequence: four projections, two attention products, two matrices of the feed-forward network."""
    return count * (2 * tokens * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER) + 4 * tokens * tokens * WIDTH)


def weights(count: int) -> int:
    """Bytes of so many layers' matrices in int8."""
    return count * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)


def states(tokens: int) -> int:
    """Bytes of so many tokens' states in float16."""
    return 2 * tokens * WIDTH
