"""Cell look-up in a table on a page, by the boxes of its words: the run in the row of one name and under another.

In: a question, a text and the boxes of its words. Out: pairs of a row's name and a cell. For pages where no loader
found a table: pictures, PDF tables without rules. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.reader.coordinates import WordBox
from rag.lookups.text_runs import Span, TextRun, in_one_column, in_one_row, is_year, runs_of
from rag.lookups.vocabulary import ASKING, COMPARES, GENERIC
from rag.words import stems

UPRIGHT = 2.5  # heights of a row: a higher run is written upwards, beside a chart


@dataclass(frozen=True, slots=True)
class _Name:
    """A run that may name a row or a column, and the stems of its words."""

    run: TextRun
    stems: frozenset[str]


def page_cells(question: str, text: str, boxes: Sequence[WordBox], around: str = "") -> set[tuple[Span, Span]] | None:
    """(row's name, cell) pairs in `text`; None where the question names no row and column.

    More than one pair, or none at all: row and column are named, and do not single out a cell. around: headings over
    the page and the name of its document.
    """
    words = stems(question) - ASKING
    if not words or COMPARES.search(question):
        return None
    names = [_Name(run, stems(run.text)) for run in runs_of(text, boxes)]
    rows = [name for name in names if name.stems and name.stems <= words]
    crossed = [(row, column) for row in rows for column in _columns(row, words - row.stems, names)]
    if not crossed:
        return None
    spare, found = GENERIC | stems(around), set()
    for row, column in crossed:
        asks_more = words - row.stems - column.stems - spare
        if not asks_more and column.stems - spare <= words:
            found |= {(row.run.span, cell.run.span) for cell in _cells(column, row, names)}
    return found


def _columns(row: _Name, words: frozenset[str], names: Sequence[_Name]) -> Iterator[_Name]:
    """Names above the row, but not over its own, that are over one of its cells, or beside a name that is.

    They hold some of the words, or none but words with which any page is asked.
    """
    height = row.run.box[3] - row.run.box[1]
    for name in names:
        _, top, _, bottom = name.run.box
        if bottom - top > UPRIGHT * height or bottom > row.run.box[1] or in_one_column(name.run, row.run):
            continue
        if not name.stems or not (name.stems <= words or name.stems & words - GENERIC):
            continue
        cells = len(_cells(name, row, names))
        if cells == 1 or (not cells and _is_beside_head(name, row, names)):
            yield name


def _is_beside_head(name: _Name, row: _Name, names: Sequence[_Name]) -> bool:
    """Whether a name shares its row with one that is over the row's name or over one of its cells."""
    beside = (other for other in names if other is not name and in_one_row(other.run, name.run))
    return any(in_one_column(other.run, row.run) or len(_cells(other, row, names)) == 1 for other in beside)


def _cells(column: _Name, row: _Name, names: Sequence[_Name]) -> list[_Name]:
    """The runs in the row, but for its name, under the column. None of a row of years: they are names of columns."""
    mine = [one for one in names if one is not row and in_one_row(one.run, row.run)]
    under = [one for one in mine if in_one_column(column.run, one.run)]
    return [one for one in under if not (is_year(one.run.text) and is_year(row.run.text))]
