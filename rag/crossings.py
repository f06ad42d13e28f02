"""Cells of tables that are known by their places alone: what stands in the row of one thing that the question names and under another. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.cells import ASKING, COMPARES, RECKONS
from rag.labels import GENERIC, SAME_COLUMN, SAME_ROW
from rag.runs import Run, Span, WordBox, runs_of, shared
from rag.support import stems


def crossings(question: str, text: str, boxes: Sequence[WordBox], around: str = "") -> set[tuple[Span, Span]] | None:
    """(row's name, cell) pairs in `text`; None where the question names no row and column. More than one, or none: it names them, and does not single out a cell.

    around: the page's name.
    """
    words = stems(question) - ASKING
    if not words or COMPARES.search(question):
        return None
    runs, reckoned = runs_of(text, boxes), {match[0].lower() for match in RECKONS.finditer(question)}
    named = [(run, held) for run in runs if (held := stems(run.text)) and held <= words]
    crossed = [(row, column, words - held) for row, held in named for column in _columns(row, words - held, runs)]
    found = set()
    for row, column, left in crossed:
        if left - stems(column.text) - GENERIC - stems(around) or any(word not in f"{row.text} {column.text}".lower() for word in reckoned):
            continue  # it asks for more than these
        found |= {((row.start, row.end), (cell.start, cell.end)) for cell in _under(column, row, runs)}
    return found if crossed else None


def _columns(row: Run, words: frozenset[str], runs: Sequence[Run]) -> Iterator[Run]:
    """Runs above that hold some of the words, or nothing but words that are asked of any page, and stand over one cell of the row, or beside one that does."""
    for run in runs:
        held = stems(run.text)
        if run.box[3] <= row.box[1] and held and (held <= words or held & words - GENERIC):
            beside = [one for one in runs if one is not run and _level(one, run)]
            if len(_under(run, row, runs)) == 1 or (not _under(run, row, runs) and any(_over(one, row) or len(_under(one, row, runs)) == 1 for one in beside)):
                yield run


def _under(column: Run, row: Run, runs: Sequence[Run]) -> list[Run]:
    """Runs in the row of one run, but for it, that stand under another."""
    return [one for one in runs if one is not row and _level(one, row) and _over(column, one)]


def _level(one: Run, other: Run) -> bool:
    return shared(one.box[1], one.box[3], other.box[1], other.box[3]) >= SAME_ROW


def _over(one: Run, other: Run) -> bool:
    return shared(one.box[0], one.box[2], other.box[0], other.box[2]) >= SAME_COLUMN
