"""Decides between the look-ups: the first that words alone single out is the answer.

In: a question, the evidence, its quotable spans and the boxes of its words. Out: a `LookupResult`, or None. The
evidence is tried in its order. Of a chunk of table rows the cell is looked up (`table_cells`); of any other one the
title of an axis (`axes`), then a cell of a table on the page (`page_tables`), then the value of a label (`labels`).
Which picture answers a question for one is decided by `picture_lookup`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from statistics import median

from indexing.types import Modality
from models.reader.coordinates import WordBox
from rag.lookups.axes import asked_axis
from rag.lookups.labels import asked_value
from rag.lookups.page_tables import page_cells
from rag.lookups.result import Lookup, LookupResult
from rag.lookups.table_cells import asked_cell, table_header
from rag.lookups.text_runs import Span
from rag.types import Evidence

LABEL_LINE = 40  # characters: a page whose median line is longer is prose, and has no labels
# How likely a value that was looked up is right, at least: 20 of 23 cells found among 1,500 tables, some of them not
# there (bench/cells.py --among).
CONFIDENCE = 0.85


def look_up(
    question: str, evidence: Sequence[Evidence], spans: Sequence[Sequence[Span]], boxes: Sequence[Sequence[WordBox]]
) -> LookupResult | None:
    """The first value that the evidence holds. spans, boxes: of each piece, its quotable spans and its words' boxes."""
    for at, (piece, rows, places) in enumerate(zip(evidence, spans, boxes, strict=True)):
        if piece.modality is Modality.TABLE:
            found = _look_up_row(question, at, piece, rows)
        else:
            found = _look_up_chunk(question, at, piece, places)
        if found:
            return found
    return None


def look_up_page(
    question: str, text: str, boxes: Sequence[WordBox], around: str = "", evidence: int = 0
) -> LookupResult | None:
    """The value that a page holds, by the boxes of its words.

    around: headings over the page and the name of its document. evidence: the number of the page, for the result.
    """
    if title := asked_axis(question, text, boxes, around):
        return LookupResult(Lookup.AXIS, evidence, title, title, CONFIDENCE)
    cells = page_cells(question, text, boxes, around)
    if cells is not None:  # row and column are named: no label is meant
        if len(cells) != 1:
            return None
        row, cell = cells.pop()
        return LookupResult(Lookup.PAGE_TABLE, evidence, cell, row, CONFIDENCE)
    if found := asked_value(question, text, boxes):
        label, value = found
        return LookupResult(Lookup.LABEL, evidence, value, label, CONFIDENCE)
    return None


def _look_up_row(question: str, at: int, piece: Evidence, rows: Sequence[Span]) -> LookupResult | None:
    """The cell of a chunk of table rows; None where two rows have one: words do not tell which is meant."""
    header = table_header(piece)
    if not header:
        return None
    found = []
    for start, end in rows:
        if cell := asked_cell(question, header, piece.text[start:end], _around(piece)):
            found.append((start + cell[0], start + cell[1]))
    return LookupResult(Lookup.TABLE_CELL, at, found[0], None, CONFIDENCE) if len(found) == 1 else None


def _look_up_chunk(question: str, at: int, piece: Evidence, boxes: Sequence[WordBox]) -> LookupResult | None:
    lines = [len(line) for line in piece.text.split("\n") if line.strip()]
    if not lines or median(lines) > LABEL_LINE:
        return None
    whole = [box for box in boxes if box[0] >= 0 and box[1] <= len(piece.text)]  # words that the chunk does not cut
    return look_up_page(question, piece.text, whole, _around(piece), at)


def _around(piece: Evidence) -> str:
    """What says, beside its own words, what a chunk is about."""
    return " ".join((*piece.headings, PurePath(piece.document).stem))
