"""What may be quoted of a chunk: its sentences, or its lines where it has none (code, forms, table rows)."""

from __future__ import annotations

import re

from indexing.sentences import sentences
from models.common.cell_separator import CELL
from rag.lookups.table_cells import table_header
from rag.types import Evidence

LONGEST = 500  # characters of a quoted sentence


def candidates(text: str) -> list[tuple[int, int]]:
    """(start, end) of each: sentences; what is too long to be one line by line."""
    spans = []
    for start, end in sentences(text):
        if end - start <= LONGEST:
            spans.append((start, end))
            continue
        for line in re.finditer(r"[^\n]*\S", text[start:end]):
            indent = len(line[0]) - len(line[0].lstrip())
            spans.append((start + line.start() + indent, start + line.end()))
    return spans


def parts(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Where in a candidate an answer may stand: the cells of a table row; else all of it."""
    if CELL not in text[start:end]:
        return [(start, end)]
    cells, at = [], start
    for cell in text[start:end].split(CELL):
        cells.append((at, at + len(cell)))
        at += len(cell) + len(CELL)
    return cells


def lead(piece: Evidence, row: str, said: str) -> str:
    """What must stand before a quoted row: its table's header, unless it is the row itself or was said already."""
    header = table_header(piece)
    return header + "\n" if header and header != row and header not in said else ""
