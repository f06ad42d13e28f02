"""How many floating point operations a reading takes, by the shapes of what is multiplied; a multiplication and its addition are two."""

from __future__ import annotations

WIDTH, INNER = 384, 1536  # of MiniLM's layers


def layers(count: int, tokens: int) -> int:
    """Of so many layers over one sequence: four projections, two attention products, two matrices of the feed-forward network."""
    return count * (2 * tokens * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER) + 4 * tokens * tokens * WIDTH)


def reading(question: int, block: int, *, cached_layers: int, all_layers: int = 6, kept: bool = False) -> int:
    """Of a block of so many tokens for a question of so many; kept: its states below are there already."""
    lower = 0 if kept else layers(cached_layers, block)
    return lower + layers(all_layers - cached_layers, question + block)
