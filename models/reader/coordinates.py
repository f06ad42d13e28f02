"""Coordinates of tokens: row and column of a table, and the box of their word on its page. Imports no torch.

Rows and columns are read off the text: a line with cells is a row; lines of cells that follow each other are a table,
whose first row is its header. Boxes are given. An array of coordinates is called a grid: (tokens, PLACES) uint8.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import IntEnum
from operator import itemgetter

import numpy as np

from models.common.cell_separator import CELL

ROWS, COLUMNS = 64, 32  # embeddings of row and column; 0 is "in no table", rows and columns beyond get the last one
HEADER = 1  # the number of a header's row
SIDES = 64  # embeddings of a position along a side of the page; 0 is "on no page"
# Characters start..end of a text; left, top, right, bottom of the word's box, 0..1 of its page.
WordBox = tuple[int, int, float, float, float, float]
PLACES = 6  # of each token: row, column; left, top, right, bottom of its word


class BlockModality(IntEnum):
    """The modality of a block, which chooses the encoder's experts."""

    TEXT = 0
    TABLE = 1
    PAGE = 2


def modalities_of(grids: np.ndarray) -> np.ndarray:
    """The BlockModality of N blocks by their grids: (N, tokens, PLACES) -> (N,) int64."""
    on_page, in_table = grids[..., 2:].any((1, 2)), grids[..., 0].any(1)  # (N,) each
    chosen = np.where(on_page, BlockModality.PAGE, np.where(in_table, BlockModality.TABLE, BlockModality.TEXT))
    return chosen.astype(np.int64)


def modality_of(grid: np.ndarray) -> BlockModality:
    """Of one block by its grid: (tokens, PLACES)."""
    return BlockModality(int(modalities_of(grid[None])[0]))


def coordinates(text: str, offsets: Sequence[tuple[int, int]], boxes: Sequence[WordBox] = ()) -> np.ndarray:
    """The grid of a text: (row, column, left, top, right, bottom) of each token, from 1; 0 outside of tables and pages.

    A separator between two cells has a row only. offsets: each token's characters. boxes: of the text's words.
    """
    begins, numbers, borders, number, at = [], [], [], 0, 0
    for line in text.split("\n"):
        number = number + 1 if CELL in line else 0
        begins.append(at)
        numbers.append(min(number, ROWS - 1))
        borders.append([at + i for i in range(len(line)) if line.startswith(CELL, i)] if number else [])
        at += len(line) + 1
    places = np.zeros((len(offsets), PLACES), np.uint8)
    for token, (start, _) in enumerate(offsets):
        line = bisect_right(begins, start) - 1
        if numbers[line]:
            before = bisect_right(borders[line], start)
            between = before > 0 and start < borders[line][before - 1] + len(CELL)
            places[token, :2] = numbers[line], 0 if between else min(1 + before, COLUMNS - 1)
        word = bisect_right(boxes, start, key=itemgetter(0)) - 1
        if word >= 0 and start < boxes[word][1]:
            places[token, 2:] = place(boxes[word][2:])
    return places


def place(box: Sequence[float]) -> list[int]:
    """The numbers of a box's left, top, right and bottom, 0..1 of the page."""
    return [1 + round((SIDES - 2) * min(max(side, 0.0), 1.0)) for side in box]
