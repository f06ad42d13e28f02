"""Reads the tables among the contexts of question sets, and compares words and cells of tables.

Rows of such a table are lines, cells are separated by " | ", the first line is the header. Knows nothing of questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.common.cell_separator import CELL
from models.training.question_sets import read_qa

FEWEST_ROWS = 3  # of a table that questions are made of
NO_VALUE = {"", "n a", "na", "none", "tba", "tbd", "tbc", "unknown"}  # cells without a value, as `words` gives them
YEAR = re.compile(r"(1[89]|20)\d\d")
WORD = re.compile(r"[^\W\d_]{3}")  # three letters on end: a cell with words, not only figures and units


@dataclass(frozen=True, slots=True)
class Table:
    """context: the text of the table in its question set."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    context: str


def read_tables(files: Sequence[Path]) -> list[Table]:
    """The distinct tables among the contexts of question sets. Raises DataError for a file that is none."""
    titles: dict[str, str] = {}
    for file in files:
        for row in read_qa(file):
            titles.setdefault(row.context, row.title)
    read = (_table(context, title) for context, title in titles.items())
    return list({(table.header, table.rows): table for table in read if table}.values())


def _table(context: str, title: str) -> Table | None:
    header, *rows = (tuple(" ".join(cell.split()) for cell in line.split(CELL)) for line in context.split("\n"))
    if len(header) < 2 or not all(header) or len(set(header)) < len(header):
        return None
    if any(len(row) != len(header) for row in rows):
        return None
    rows = [row for row in rows if row.count(row[0]) * 2 <= len(row)]  # without headings that span the table
    return Table(title if has_value(title) else "", header, tuple(rows), context) if len(rows) >= FEWEST_ROWS else None


def words(text: str) -> str:
    """Its words and numbers in lower case, one space between: other punctuation compares as equal."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def has_words(text: str, part: str) -> bool:
    """Whether the words of `part` follow each other in `text`."""
    return f" {words(part)} " in f" {words(text)} "


def has_value(cell: str) -> bool:
    return words(cell) not in NO_VALUE


def has_letters(cell: str) -> bool:
    return any(letter.isalpha() for letter in cell)


def key_columns(table: Table) -> list[int]:
    """Columns that name their row: distinct cells with values, most of them words or all of them years."""
    found = []
    for column, name in enumerate(table.header):
        cells = [row[column] for row in table.rows]
        naming = sum(bool(WORD.search(cell)) for cell in cells) * 2 > len(cells) or all(map(YEAR.fullmatch, cells))
        distinct = len({words(cell) for cell in cells}) == len(cells)
        if naming and distinct and all(map(has_value, cells)) and has_letters(name):
            found.append(column)
    return found
