"""Which cell of a table's row a question asks for: the one under the header that the question names. Words alone decide, or nothing is said."""

from __future__ import annotations

import re

from models.cell import CELL
from rag.quotes import parts
from rag.support import stems

# A question with one of these compares rows, counts them, or asks for a neighbour of the row that it names.
RELATION = re.compile(
    r"\b(above|after|all|average|before|below|best|between|both|change[ds]?|combined|consecutive|decreased?|differen\w+|each|earli\w+|every|few\w*|first|"
    r"follow\w+|great\w+|high\w+|increased?|large\w+|last|latest|least|less|long\w+|low\w+|more|most|next|old\w+|only|or|other|prev\w+|prior|same|"
    r"short\w+|small\w+|sum|than|top|total(?= (number|of))|which years?|worst|young\w+)\b",
    re.IGNORECASE,
)
# words that name no column
ASKING = stems("amount came come figure gave get give given go got had has have is made make many much number take taken tell took value went")
COUNTED = re.compile(r"\bhow (many|much)\b", re.IGNORECASE)


def asked_cell(question: str, header: str, row: str, around: str = "") -> tuple[int, int] | None:
    """(start, end) of the cell in `row`; None where the question does not single one out.

    header, row: cells parted by CELL; around: what stands over the table. Words of the question that stand in the row tell which row it is, others which
    column; one that stands in neither, nor names what the first ones are, asks for something else.
    """
    names, places = [stems(name) for name in header.split(CELL)], parts(row, 0, len(row))
    if len(names) != len(places) or header == row or RELATION.search(question):
        return None
    words = stems(question) - ASKING
    held = [stems(row[start:end]) for start, end in places]
    label = set().union(*((words & cell) | (names[at] if words & cell else set()) for at, cell in enumerate(held)))
    free = [at for at, (start, end) in enumerate(places) if row[start:end].strip() and not words & held[at]]
    named = {at: len(names[at] & words - label) / len(names[at]) for at in free if names[at]}
    best = max(named.values(), default=0.0)
    chosen = [at for at, share in named.items() if share == best] if best else (free if len(places) == 2 else [])
    if not label or len(chosen) != 1 or words - label - names[chosen[0]] - stems(around):
        return None
    start, end = places[chosen[0]]
    cell = row[start:end]
    if COUNTED.search(question) and not any(map(str.isdigit, cell)):
        return None
    return start + len(cell) - len(cell.lstrip()), start + len(cell.rstrip())
