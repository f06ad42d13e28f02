"""Training contexts shaped like retrieved chunks: excerpts of long tables, and the openings of documents as titles."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from models.common.cell_separator import CELL
from models.training.question_sets import QaRow, Span

LONGEST = 800  # characters of an excerpt, about those of a chunk
OPENING = 300  # characters of a document's opening


def excerpt(row: QaRow, rng: random.Random) -> QaRow:
    """A long table cut to its header and some rows around the answer's row, which may be anywhere among them.

    Any other context is returned as it is: a short one, prose, or an answer that is in the header or not a span.
    """
    lines = row.context.split("\n")
    if row.span is None or len(row.context) <= LONGEST or not all(CELL in line for line in lines):
        return row
    at = row.context.count("\n", 0, row.span.start)
    if at == 0:
        return row
    room = rng.randint(LONGEST // 2, LONGEST) - len(lines[0]) - len(lines[at])
    first = last = at
    while True:
        neighbours = [one for one in (first - 1, last + 1) if 0 < one < len(lines) and len(lines[one]) < room]
        if not neighbours:
            break
        chosen = rng.choice(neighbours)
        room -= len(lines[chosen]) + 1
        first, last = min(first, chosen), max(last, chosen)
    context = "\n".join([lines[0], *lines[first : last + 1]])
    removed = sum(len(line) + 1 for line in lines[1:first])  # characters before the excerpt's rows
    return replace(row, context=context, answers=(Span(row.span.text, row.span.start - removed),))


def openings(rows: Iterable[QaRow]) -> dict[str, tuple[str, str]]:
    """Title -> (the first context with that title, its first OPENING characters): the opening of a document."""
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row.title:
            found.setdefault(row.title, (row.context, row.context[:OPENING]))
    return found
