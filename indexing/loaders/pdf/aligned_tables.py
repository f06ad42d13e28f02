"""Tables without any rule: rows whose words are aligned in columns, found by the gaps that run through all rows. Pure.

Lists, addresses and columns of prose are aligned too, so a table must look like one in several ways at once: tearing a
paragraph apart costs more than reading a table as one. Boxes are in points, y downwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.loaders.captions import TABLE_CAPTION
from indexing.loaders.pdf.booktabs import Word, columns_of, rows_of
from indexing.loaders.pdf.geometry import middle_x
from indexing.loaders.pdf.ruled_tables import Ruled

APART = 1.2  # of the height of its words: a gap in a row that may part two cells
SPACED = 2.2  # of the height of a row: how far below the next one may begin
LEAST_ROWS = 3
NUMBERS, SOME = 0.5, 0.15  # least shares of figures among the cells beside the first column; SOME where cells are short
LIST_NUMBERS = 0.8  # the same share for a table of two columns, which is else like a list with leaders
FILLED = 0.6  # least share of cells with words
SHORT = 10  # mean characters of a cell
LONGEST = 45  # characters of a cell
YEAR = re.compile(r"(?:FY ?)?(?:19|20)\d\d")
FIGURE = re.compile(r"[-–—−+(<>~≈±$€£¥]*\s*\d[\d.,:/%()±*–−-]*|[-–—]|n/?a", re.I)


@dataclass(frozen=True, slots=True)
class _Row:
    words: tuple[Word, ...]  # from the left
    cells: tuple[tuple[float, float, str], ...]  # x0, x1 and text of neighbouring words
    top: float
    bottom: float


def aligned(words: Sequence[Word]) -> list[Ruled]:
    """Tables of at least LEAST_ROWS rows and two columns, from the top. words: of one column of the page."""
    rows = [_row(row) for row in rows_of(words)]
    return [table for run in _runs(rows) if (table := _table(run))]


def is_row_of_figures(cells: Sequence[str]) -> bool:
    """Whether the first row of a table is a label and figures, not the names of columns. Years may be such names."""
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
    """Rows of several cells that follow each other closely. One of a single cell may be between two, as a subtitle."""
    run: list[_Row] = []
    for row, below in zip(rows, [*rows, None][1:], strict=True):
        near = bool(run) and row.top - run[-1].bottom <= SPACED * (row.bottom - row.top)
        several = len(row.cells) > 1
        subtitle = near and not several and len(run[-1].cells) > 1 and below is not None and len(below.cells) > 1
        if (several and (near or not run)) or subtitle:
            run.append(row)
            continue
        yield run
        run = [row] if several else []
    yield run


def _table(run: list[_Row]) -> Ruled | None:
    """The longest part at the end of a run that has columns; None where it is no table."""
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
    single = [row for row in rows if len(row.cells) == 1]
    if any(row.cells[0][0] > edges[1] or TABLE_CAPTION.match(row.cells[0][2]) for row in single):
        return False
    texts = [[_text_between(row, low, high) for low, high in pairwise(edges)] for row in rows]
    whole = [row for row in texts if sum(map(bool, row)) > 1]
    if len(whole) < LEAST_ROWS or any(len(cell) > LONGEST for row in whole for cell in row):
        return False
    beside = [cell for row in whole for cell in row[1:] if cell]
    figures = sum(bool(FIGURE.fullmatch(cell)) for cell in beside) / len(beside)
    filled = sum(bool(cell) for row in whole for cell in row) / sum(map(len, whole))
    if len(edges) == 3:
        return figures >= LIST_NUMBERS and len(whole) > LEAST_ROWS and not _counts_up([row[1] for row in whole])
    short = sum(map(len, beside)) <= SHORT * len(beside) and len(whole) > LEAST_ROWS
    return filled >= FILLED and (figures >= NUMBERS or (short and figures >= SOME))


def _text_between(row: _Row, low: float, high: float) -> str:
    return " ".join(text for text, box in row.words if low <= middle_x(box) < high)


def _counts_up(cells: Sequence[str]) -> bool:
    """Whether these are the page numbers of a table of contents."""
    numbers = [int(cell) for cell in cells if cell.isdigit()]
    return len(numbers) >= 0.8 * len(cells) and all(one <= next for one, next in pairwise(numbers))
