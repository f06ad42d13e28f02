"""The tables that stand as contexts in question sets: rows are lines, cells are separated by " | ", the first line is the header.

Knows nothing of questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.common.cell_separator import CELL
from models.training.question_sets import read_qa

LEAST = 3  # rows of a table
NOTHING = {"", "n a", "na", "none", "tba", "tbd", "tbc", "unknown"}
YEAR = re.compile(r"(1[89]|20)\d\d")
WORD = re.compile(r"[^\W\d_]{3}")


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    context: str  # as the question set has it


def read_tables(files: Sequence[Path]) -> list[Table]:
    """The distinct tables that are the contexts of these question sets. Raises DataError for a file that is none."""
    titles: dict[str, str] = {}
    for file in files:
        for row in read_qa(file):
            titles.setdefault(row.context, row.title)
    read = (_table(context, title) for context, title in titles.items())
    return list({(table.header, table.rows): table for table in read if table}.values())


def _table(context: str, title: str) -> Table | None:
    header, *rows = (tuple(" ".join(cell.split()) for cell in line.split(CELL)) for line in context.split("\n"))
    if len(header) < 2 or not all(header) or len(set(header)) < len(header) or any(len(row) != len(header) for row in rows):
        return None
    rows = [row for row in rows if row.count(row[0]) * 2 <= len(row)]  # without headings that span the table
    return Table(title if said(title) else "", header, tuple(rows), context) if len(rows) >= LEAST else None


def words(text: str) -> str:
    """Its words and numbers, so that what is written otherwise compares as equal."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def stands(text: str, within: str) -> bool:
    return f" {words(text)} " in f" {words(within)} "


def said(cell: str) -> bool:
    return words(cell) not in NOTHING


def lettered(cell: str) -> bool:
    return any(letter.isalpha() for letter in cell)


def key_columns(table: Table) -> list[int]:
    """Columns that name their row: each cell once, none empty; words or years."""
    found = []
    for column, name in enumerate(table.header):
        cells = [row[column] for row in table.rows]
        telling = sum(bool(WORD.search(cell)) for cell in cells) * 2 > len(cells) or all(map(YEAR.fullmatch, cells))
        if telling and all(map(said, cells)) and len({words(cell) for cell in cells}) == len(cells) and lettered(name):
            found.append(column)
    return found
