"""Which cell of a table's row a question asks for: the one under the header that the question names. Words alone decide, or nothing is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from models.common.cell_separator import CELL
from rag.generators.quote.sentence_features import stems

# a question with one of these compares what is said of several things
COMPARES = re.compile(
    r"\b(all|average|best|between|both|combined|differen\w+|each|earli\w+|every|few\w*|great\w+|highest|large\w+|least|less|longe\w+|lowest|more|most|other|same|"
    r"short\w+|small\w+|than|worst)\b",
    re.IGNORECASE,
)
# and one with one of these asks for a neighbour of the row that it names, or to reckon
RECKONS = re.compile(
    r"\b(above|after|before|below|change[ds]?|consecutive|decreased?|first|follow\w+|high\w*|increased?|last|latest|long|low\w*|next|old\w+|only|or|over|prev\w+|prior|sum|"
    r"top|total(?= (number|of))|under|which years?|young\w+)\b",
    re.IGNORECASE,
)
# words that name no column
ASKING = stems("amount came come figure gave get give given go got had has have is made make many much number take taken tell took value went")
COUNTED = re.compile(r"\bhow (many|much)\b|\bnumber of\b", re.IGNORECASE)


def asked_cell(question: str, header: str, row: str, around: str = "") -> tuple[int, int] | None:
    """(start, end) of the cell in `row`; None where the question does not single one out.

    header, row: cells parted by CELL; around: what stands over the table. Words of the question that stand in the row tell which row it is, others which
    column; one that stands in neither, nor names what the first ones are, asks for something else.
    """
    if header == row or COMPARES.search(question) or RECKONS.search(question):
        return None
    seen = _seen(question, header, row)
    if seen is None or not seen.label:
        return None
    chosen = seen.named or (seen.free if len(seen.places) == 2 else [])
    if len(chosen) != 1 or seen.words - seen.label - seen.names[chosen[0]] - stems(around):
        return None
    start, end = _trimmed(row, seen.places[chosen[0]])
    return None if COUNTED.search(question) and not any(map(str.isdigit, row[start:end])) else (start, end)


def named_cells(question: str, header: str, row: str) -> list[tuple[int, int]]:
    """(start, end) of the cells in `row` under the headers that hold the most of the question; none where it names none.

    In a form's row, `label: | value | label: | value`, of the values behind such labels: what stands over them is another row.
    """
    if not _is_form(row):
        seen = _seen(question, header, row)
        return [_trimmed(row, seen.places[at]) for at in seen.named] if seen else []
    cells = [_trimmed(row, place) for place in _places(row)]
    words = stems(question) - ASKING
    named = {value: len(words & stems(row[slice(*label)])) for label, value in pairwise(cells) if row[slice(*label)].endswith(":") and value[0] < value[1]}
    best = max(named.values(), default=0)
    return [value for value, count in named.items() if count == best] if best else []


@dataclass(frozen=True, slots=True)
class _Seen:
    """A row as a question sees it. words: of the question; label: those that tell which row it is; free: cells that hold none of it; named: of
    these the ones whose header holds the most of the rest, if any does.
    """

    words: frozenset[str]
    label: frozenset[str]
    names: list[frozenset[str]]
    places: list[tuple[int, int]]
    free: list[int]
    named: list[int]


def _is_form(row: str) -> bool:
    return any(row[start:end].rstrip().endswith(":") for start, end in _places(row))


def _seen(question: str, header: str, row: str) -> _Seen | None:
    """None for a row that does not fit its header, or has labels of its own."""
    names, places = [stems(header[start:end]) for start, end in _places(header)], _places(row)
    if len(names) != len(places) or _is_form(row):
        return None
    words = stems(question) - ASKING
    held = [stems(row[start:end]) for start, end in places]
    label = frozenset().union(*((words & cell) | (names[at] if words & cell else frozenset()) for at, cell in enumerate(held)))
    free = [at for at, (start, end) in enumerate(places) if row[start:end].strip() and not words & held[at]]
    shares = {at: len(names[at] & words - label) / len(names[at]) for at in free if names[at]}
    best = max(shares.values(), default=0.0)
    return _Seen(words, label, names, places, free, [at for at, share in shares.items() if share == best] if best else [])


def _trimmed(row: str, place: tuple[int, int]) -> tuple[int, int]:
    cell = row[slice(*place)]
    return place[0] + len(cell) - len(cell.lstrip()), place[0] + len(cell.rstrip())


def _places(row: str) -> list[tuple[int, int]]:
    """(start, end) of each cell; of a first or last one that is empty nothing but its bar may be left."""
    whole = " " * row.startswith("|") + row + " " * row.endswith("|")
    at, places = -int(row.startswith("|")), []
    for cell in whole.split(CELL):
        places.append((max(at, 0), max(0, min(at + len(cell), len(row)))))
        at += len(cell) + len(CELL)
    return places
