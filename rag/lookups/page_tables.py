"""Cells of tables that are known by their places alone: what stands in the row of one thing that the question names and under another. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.generators.quote.sentence_features import stems
from rag.lookups.labels import GENERIC, YEAR
from rag.lookups.table_cells import ASKING, COMPARES, RECKONS
from rag.lookups.text_runs import Run, Span, WordBox, level, over, runs_of

LOW = 2.5  # heights of a row: what is higher is written upwards, beside a chart
UNIT = re.compile(r"[(\[].*?[)\]]")  # of a column, in brackets behind its name


@dataclass(frozen=True, slots=True)
class _Named:
    """A run, and the stems of its words; held: without its unit."""

    run: Run
    all: frozenset[str]
    held: frozenset[str]


def crossings(question: str, text: str, boxes: Sequence[WordBox], around: str = "") -> set[tuple[Span, Span]] | None:
    """(row's name, cell) pairs in `text`; None where the question names no row and column. More than one, or none: it names them, and does not single out a cell.

    around: the page's name.
    """
    words, spare = stems(question) - ASKING, GENERIC | stems(around)
    if not words or COMPARES.search(question):
        return None
    runs = [_Named(run, stems(run.text), stems(UNIT.sub("", run.text)) or stems(run.text)) for run in runs_of(text, boxes)]
    crossed = [(row, column) for row in runs if row.held and row.held <= words for column in _columns(row, words - row.all, runs)]
    reckoned = {match[0].lower() for match in RECKONS.finditer(question)}
    found: dict[bool, set[tuple[Span, Span]]] = {True: set(), False: set()}  # by whether the question says the whole name of the column
    for row, column in crossed:
        said = set(re.findall(r"\w+", f"{row.run.text} {column.run.text}".lower()))
        if words - row.all - column.all - spare or not column.held - spare <= words or any(set(re.findall(r"\w+", word)) - said for word in reckoned):
            continue  # it asks for more than these, or for another column
        found[column.held <= words] |= {((row.run.start, row.run.end), (cell.run.start, cell.run.end)) for cell in _under(column, row, runs)}
    return (found[True] or found[False]) if crossed else None


def _columns(row: _Named, words: frozenset[str], runs: Sequence[_Named]) -> Iterator[_Named]:
    """Runs above, but not over the row's name, that hold some of the words, or nothing but words that are asked of any page, and stand over one cell of the row, or beside one that does."""
    for one in runs:
        low = one.run.box[3] - one.run.box[1] <= LOW * (row.run.box[3] - row.run.box[1])
        if low and one.run.box[3] <= row.run.box[1] and one.held and (one.held <= words or one.held & words - GENERIC) and not over(one.run, row.run):
            beside = [other for other in runs if other is not one and level(other.run, one.run)]
            if len(_under(one, row, runs)) == 1 or (not _under(one, row, runs) and any(over(other.run, row.run) or len(_under(other, row, runs)) == 1 for other in beside)):
                yield one


def _under(column: _Named, row: _Named, runs: Sequence[_Named]) -> list[_Named]:
    """Runs in the row of one run, but for it, that stand under another. Of a row of years none: they are names of columns."""
    return [one for one in runs if one is not row and level(one.run, row.run) and over(column.run, one.run) and not (YEAR.fullmatch(one.run.text) and YEAR.fullmatch(row.run.text))]

