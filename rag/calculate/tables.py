"""Whole tables of the evidence: columns with their kind and unit, rows with their labels. Pure.

In: the pieces of evidence that make up one table, in order. Out: a `Table`, whose cells are spans of the pieces, so
that every operand can be cited.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from models.common.cell_separator import CELL
from rag.calculate.quantities import Quantity, quantity_of, unit_in
from rag.dates import days, month_names, years
from rag.lookups.table_cells import cell_spans, table_header
from rag.types import Evidence
from rag.words import stems

NUMERIC = 0.6  # of a column's filled cells: from this share on it is one of quantities
TOTALS = stems("total sum overall subtotal")
MONTHS = frozenset().union(*map(stems, month_names()))


@dataclass(frozen=True, slots=True)
class Cell:
    """piece.text[start:end] is `text`, trimmed; `piece` counts the pieces of the table."""

    text: str
    piece: int
    start: int
    end: int


@dataclass(frozen=True)
class Row:
    """words: stems of its cells that are no quantities. total: whether it sums up other rows."""

    cells: tuple[Cell, ...]
    label: str
    words: frozenset[str]
    total: bool


@dataclass(frozen=True)
class Table:
    """columns: the header of each, "" for none. about: stems of the headings over it and of its document's name."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    quantities: tuple[tuple[Quantity | None, ...], ...]  # of each row, for each column
    about: frozenset[str]

    @cached_property
    def numeric(self) -> tuple[int, ...]:
        """The columns of quantities: not the first one where it alone names the rows."""
        found = []
        for at in range(len(self.columns)):
            filled = [row[at] for row, whole in zip(self.quantities, self.rows, strict=True) if whole.cells[at].text]
            if filled and sum(one is not None for one in filled) >= NUMERIC * len(filled):
                found.append(at)
        return tuple(at for at in found if at or not self._labels_in_first)

    @cached_property
    def _labels_in_first(self) -> bool:
        """Whether the first column holds years or running numbers, which name rows and measure nothing."""
        values = [row[0] for row in self.quantities]
        plain = [one for one in values if one is not None and not one.unit and not one.places]
        return len(plain) == len(values) and len({one.value for one in plain}) == len(plain) > 1 and not unit_in(
            self.columns[0]
        )

    @cached_property
    def totals(self) -> bool:
        """Whether a column sums up others."""
        return any(header & TOTALS for header in self.headers)

    @cached_property
    def dated(self) -> int:
        """The number of columns that hold days."""
        return sum(any(days(row.cells[at].text) for row in self.rows) for at in range(len(self.columns)))

    @cached_property
    def headers(self) -> tuple[frozenset[str], ...]:
        """The stems of each column's header, and the years in it."""
        return tuple(header_words(header) for header in self.columns)

    def quantity(self, row: int, column: int) -> Quantity:
        """A quantity of a cell, in the unit of its column where it names none."""
        found = self.quantities[row][column]
        return found if found.unit else replace(found, unit=self.units[column])

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The unit of each column: of its cells where they agree, else of its header; "" for none."""
        found = []
        for at, header in enumerate(self.columns):
            units = {row[at].unit for row in self.quantities if row[at] is not None}
            found.append(units.pop() if len(units) == 1 and units != {""} else unit_in(header))
        return tuple(found)


def table_of(pieces: Sequence[Evidence]) -> Table | None:
    """The table that these pieces make up; None for rows that do not fit one header."""
    header = table_header(pieces[0])
    names = [header[start:end].strip() for start, end in cell_spans(header)] if header else []
    lines = []
    for number, piece in enumerate(pieces):
        at = 0
        for line in piece.text.split("\n"):
            if line.strip() and line != header and CELL in line and not _is_rule(line):
                lines.append((number, at, line))
            at += len(line) + 1
    width = max((len(cell_spans(line)) for _, _, line in lines), default=0)
    if not lines or width < 2:
        return None
    names = [*names, *[""] * (width - len(names))][:width]
    rows, quantities = [], []
    for number, at, line in lines:
        cells = _cells(number, at, line, width)
        if not rows and _heads(cells):
            names = [f"{name} {cell.text}".strip() for name, cell in zip(names, cells, strict=True)]
            continue
        values = tuple(quantity_of(cell.text) for cell in cells)
        rows.append(_row(cells, values))
        quantities.append(values)
    if not rows:
        return None
    above = [*pieces[0].headings[: -1 if header else None], pieces[0].document.rpartition("/")[2]]
    about = frozenset().union(*map(header_words, above))
    return Table(tuple(names), tuple(rows), tuple(quantities), about)


def header_words(text: str) -> frozenset[str]:
    """The stems of a header or a question, the years that it names, and letters that stand alone: "Pump S"."""
    letters = frozenset(re.findall(r"\b[A-Z]\b", text))
    return stems(text.replace("_", " ").replace("-", " ")) | _years(text) | {letter.lower() for letter in letters}


def label_words(text: str) -> frozenset[str]:
    """The stems of a label; of one that is nothing but stop words ("Other") the words themselves."""
    return header_words(text) or frozenset(re.findall(r"\w+", text.casefold()))


def _years(text: str) -> frozenset[str]:
    return frozenset(map(str, years(text)))


def _heads(cells: Sequence[Cell]) -> bool:
    """Whether a first row goes on with the header: years or words alone, and years if it has a label."""
    values = [quantity_of(cell.text) for cell in cells[1:] if cell.text]
    plain = all(one is None or years(str(one.value)) for one in values)
    return plain and (not cells[0].text or any(years(cell.text) for cell in cells[1:]))


def _is_rule(line: str) -> bool:
    """The line below a header of Markdown: |---|---|."""
    return not line.strip("|-:+ =")


def _cells(piece: int, at: int, line: str, width: int) -> tuple[Cell, ...]:
    made = []
    for start, end in cell_spans(line)[:width]:
        text = line[start:end]
        first = at + start + len(text) - len(text.lstrip())
        made.append(Cell(text.strip(), piece, first, first + len(text.strip())))
    return (*made, *[Cell("", piece, at, at)] * (width - len(made)))


def _row(cells: tuple[Cell, ...], values: tuple[Quantity | None, ...]) -> Row:
    names = [cell.text for cell, value in zip(cells, values, strict=True) if value is None and cell.text]
    undated = [name for name in names if not days(name)]
    named_by_first = values[0] is None and cells[0].text
    label = cells[0].text if named_by_first or not names else (undated or names)[0]
    words = frozenset().union(*(label_words(name) | _time_words(name) for name in [*names, cells[0].text]))
    return Row(cells, label, words, bool(stems(label) & TOTALS))


def _time_words(text: str) -> frozenset[str]:
    """Year and month of the days that a cell names, as stems: a row of 2023-08-17 is one of August and of 2023."""
    named = ((str(day.year), *stems(month_names()[day.month - 1])) for day in days(text))
    return frozenset(itertools.chain.from_iterable(named)) | _years(text)
