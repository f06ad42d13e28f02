"""What a question is put to in training, made like what a retriever finds: parts of long tables, passages under an opening."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from models.common.cell_separator import CELL
from models.training.question_sets import QaRow, Span

LONGEST = 800  # characters of a part of a table, about those of a chunk
OPENING = 300  # characters of a document's opening


def excerpt(row: QaRow, rng: random.Random) -> QaRow:
    """A long table with its header and the rows around the answer only, the answer's row anywhere among them; else the row as it is."""
    lines = row.context.split("\n")
    if row.span is None or len(row.context) <= LONGEST or not all(CELL in line for line in lines):
        return row
    at = row.context.count("\n", 0, row.span.start)
    if at == 0:
        return row
    room = rng.randint(LONGEST // 2, LONGEST) - len(lines[0]) - len(lines[at])
    first = last = at
    while True:
        beside = [one for one in (first - 1, last + 1) if 0 < one < len(lines) and len(lines[one]) < room]
        if not beside:
            break
        chosen = rng.choice(beside)
        room -= len(lines[chosen]) + 1
        first, last = min(first, chosen), max(last, chosen)
    kept = [lines[0], *lines[first : last + 1]]
    gone = sum(len(line) + 1 for line in lines[1:first])
    return replace(row, context="\n".join(kept), answers=(Span(row.span.text, row.span.start - gone),))


def openings(rows: Iterable[QaRow]) -> dict[str, tuple[str, str]]:
    """Title -> the first of its contexts, and how that begins: what stands for the opening of a document of several passages."""
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row.title:
            found.setdefault(row.title, (row.context, row.context[:OPENING]))
    return found
