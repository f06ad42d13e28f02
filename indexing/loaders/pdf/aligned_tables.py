"""Tables without any rule: rows whose words stand in columns, told by the gaps that run through all of them. Pure.

Boxes are in the page's own unit (points), y downwards. What is taken for a table must look like one in several ways at once, as lists, addresses and columns of
prose stand in columns too: a paragraph is worse torn apart than a table read as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.loaders.pdf.booktabs import CAPTION, columns_of, rows_of
from indexing.loaders.pdf.ruled_tables import Ruled
from indexing.types import Box

APART = 1.2  # of the height of its words: a gap within a row that may part two cells
SPACED = 2.2  # of the height of a row: how far the next one may begin below
LEAST_ROWS = 3
NUMBERS, SOME = 0.5, 0.15  # of the cells beside the first column: figures; and where they are short
SHORT = 10  # characters of a cell in the mean
LONGEST = 45  # characters of a cell
YEAR = re.compile(r"(?:FY ?)?(?:19|20)\d\d")
FIGURE = re.compile(r"[-–—−+(<>~≈±$€£¥]*\s*\d[\d.,:/%()±*–−-]*|[-–—]|n/?a", re.I)

Word = tuple[str, Box]


@dataclass(frozen=True, slots=True)
class _Row:
    words: tuple[Word, ...]  # from the left
    cells: tuple[tuple[float, float, str], ...]  # x0, x1 and text of what stands together
    top: float
    bottom: float


def aligned(words: Sequence[Word]) -> list[Ruled]:
    """Tables of at least LEAST_ROWS rows and two columns, from the top. words: of one column of the page."""
    rows = [_row(row) for row in rows_of(words)]
    return [table for run in _runs(rows) if (table := _table(run))]


def names_nothing(cells: Sequence[str]) -> bool:
    """Whether a table's first row holds a label and figures, as those below it, and not the names of its columns. Years may be such names."""
    beside = [cell for cell in cells[1:] if cell]
    figures = [cell for cell in beside if FIGURE.fullmatch(cell) and not YEAR.fullmatch(cell)]
    return bool(cells[0] and beside) and len(figures) > 0.5 * len(beside)


def _row(words: Sequence[Word]) -> _Row:
    ordered = sorted(words, key=lambda word: word[1][0])
    heights = sorted(box[3] - box[1] for _, box in ordered)
    gap = APART * heights[len(heights) // 2]
    cells: list[tuple[float, float, str]] = []
    for text, (x0, _, x1, _) in ordered:
        if cells and x0 - cells[-1][1] < gap:
            cells[-1] = cells[-1][0], max(x1, cells[-1][1]), f"{cells[-1][2]} {text}"
        else:
            cells.append((x0, x1, text))
    return _Row(tuple(ordered), tuple(cells), min(box[1] for _, box in ordered), max(box[3] for _, box in ordered))


def _runs(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Rows that follow each other closely and have several cells each; one of a single cell may stand between two of these, as a subtitle does."""
    run: list[_Row] = []
    for at, row in enumerate(rows):
        near = bool(run) and row.top - run[-1].bottom <= SPACED * (row.bottom - row.top)
        between = near and len(row.cells) == 1 and len(run[-1].cells) > 1 and at + 1 < len(rows) and len(rows[at + 1].cells) > 1
        if (len(row.cells) > 1 and (near or not run)) or between:
            run.append(row)
            continue
        yield run
        run = [row] if len(row.cells) > 1 else []
    yield run


def _table(run: list[_Row]) -> Ruled | None:
    """The longest part of a run, from its end upwards, that has columns; None where it is no table."""
    for first in range(len(run)):
        rows = run[first:]
        if len(rows[0].cells) < 2:
            continue
        if sum(len(row.cells) > 1 for row in rows) < LEAST_ROWS:
            return None
        left, right = min(row.cells[0][0] for row in rows), max(row.cells[-1][1] for row in rows)
        edges = columns_of([word for row in rows if len(row.cells) > 1 for word in row.words], left, right)
        if len(edges) > 2 and _looks_like_one(rows, edges):
            tops = [rows[0].top, *((above.bottom + below.top) / 2 for above, below in pairwise(rows)), rows[-1].bottom]
            cells = tuple(tuple((low, y0, high, y1) for low, high in pairwise(edges)) for y0, y1 in pairwise(tops))
            return Ruled((edges[0], tops[0], edges[-1], tops[-1]), cells)
    return None


def _looks_like_one(rows: Sequence[_Row], edges: Sequence[float]) -> bool:
    placed = [[" ".join(text for text, box in row.words if low <= (box[0] + box[2]) / 2 < high) for low, high in pairwise(edges)] for row in rows]
    single = [row for row in rows if len(row.cells) == 1]
    if any(row.cells[0][0] > edges[1] or CAPTION.match(row.cells[0][2]) for row in single):
        return False
    whole = [row for row in placed if sum(map(bool, row)) > 1]
    if len(whole) < LEAST_ROWS or any(len(cell) > LONGEST for row in whole for cell in row):
        return False
    beside = [cell for row in whole for cell in row[1:] if cell]
    figures = sum(bool(FIGURE.fullmatch(cell)) for cell in beside) / len(beside)
    filled = sum(bool(cell) for row in whole for cell in row) / sum(map(len, whole))
    if len(edges) == 3:  # label and figure: of a list with leaders, of a contents page, such are told by nothing else
        return figures >= 0.8 and len(whole) > LEAST_ROWS and not _counts_up([row[1] for row in whole])
    short = sum(map(len, beside)) <= SHORT * len(beside) and len(whole) > LEAST_ROWS
    return filled >= 0.6 and (figures >= NUMBERS or (short and figures >= SOME))


def _counts_up(cells: Sequence[str]) -> bool:
    """Page numbers of a list of contents."""
    numbers = [int(cell) for cell in cells if cell.isdigit()]
    return len(numbers) >= 0.8 * len(cells) and all(one <= next for one, next in pairwise(numbers))
