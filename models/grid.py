"""Where tokens stand in a table: rows and columns, read off the text. Imports no torch.

A line with cells is a row; lines of cells that follow each other are a table, whose first row is its header.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from models.cell import CELL

ROWS, COLUMNS = 64, 32  # numbers that there are, 0 among them: "in no table"; what stands beyond gets the last one
HEADER = 1  # the number of a header's row


def coordinates(text: str, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """(row, column) of each token from 1, (0, 0) outside of tables: (tokens, 2) uint8. What stands between two cells has a row only.

    offsets: each token's characters.
    """
    begins, numbers, borders, number, at = [], [], [], 0, 0
    for line in text.split("\n"):
        number = number + 1 if CELL in line else 0
        begins.append(at)
        numbers.append(min(number, ROWS - 1))
        borders.append([at + i for i in range(len(line)) if line.startswith(CELL, i)] if number else [])
        at += len(line) + 1
    places = np.zeros((len(offsets), 2), np.uint8)
    for token, (start, _) in enumerate(offsets):
        line = bisect_right(begins, start) - 1
        if numbers[line]:
            before = bisect_right(borders[line], start)
            between = before > 0 and start < borders[line][before - 1] + len(CELL)
            places[token] = numbers[line], 0 if between else min(1 + before, COLUMNS - 1)
    return places
