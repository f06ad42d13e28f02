"""Look-ups that words alone decide: a cell of a table (rag.lookups.table_cells), a value beside its label on a page (rag.lookups.labels), what an axis of a chart says (rag.lookups.axes), what stands under one thing and beside another (rag.lookups.page_tables)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from statistics import median

from indexing.types import Modality
from rag.generators.quote import quotable_spans
from rag.lookups.axes import asked_axis
from rag.lookups.labels import asked_value, looks_wanted
from rag.lookups.page_tables import crossings
from rag.lookups.table_cells import asked_cell
from rag.lookups.text_runs import Span, WordBox
from rag.types import Context, Evidence, Surroundings

LABELS = 40  # characters of a line, at most in the median: pages of prose have no labels
SURE = 0.85  # how sure a look-up is at least: bench/cells.py, where some of the tables are not there


@dataclass(frozen=True, slots=True)
class Found:
    """Characters start..end of evidence number `at`; quote: what is said before them, in place of their sentence."""

    at: int
    start: int
    end: int
    quote: Span | None = None


def look_up(question: str, context: Context, spans: Sequence[Sequence[tuple[int, int]]]) -> Found | None:
    """The first that the evidence holds, in its order. spans: the candidates of each, see quotable_spans.candidates."""
    for at, (piece, around, candidates) in enumerate(zip(context.evidence, context.surroundings, spans, strict=True)):
        if piece.modality is Modality.TABLE:
            if cell := _cell(question, piece, candidates):
                return Found(at, *cell)
        elif found := _value(question, piece, around):
            quote, value = found
            return Found(at, *value, quote)
    return None


def _around(piece: Evidence) -> str:
    return " ".join((*piece.headings, PurePath(piece.document).stem))


def _cell(question: str, piece: Evidence, candidates: Sequence[tuple[int, int]]) -> Span | None:
    """None where two rows have one: words do not tell which is meant."""
    header = quotable_spans.table_header(piece)
    if not header:
        return None
    found = [(start + cell[0], start + cell[1]) for start, end in candidates if (cell := asked_cell(question, header, piece.text[start:end], _around(piece)))]
    return found[0] if len(found) == 1 else None


def _value(question: str, piece: Evidence, around: Surroundings) -> tuple[Span | None, Span] | None:
    lines = [len(line) for line in piece.text.split("\n") if line.strip()]
    if not lines or median(lines) > LABELS:
        return None
    boxes = [box for box in around.boxes if box[0] >= 0 and box[1] <= len(piece.text)]
    picture = piece.modality is Modality.IMAGE or around.recognised
    return asked_of_page(question, piece.text, boxes, _around(piece), picture=picture)


def asked_of_page(question: str, text: str, boxes: Sequence[WordBox], around: str = "", *, picture: bool = True) -> tuple[Span | None, Span] | None:
    """What is to be quoted and the answer, see rag.lookups.axes, rag.lookups.page_tables and rag.lookups.labels; where words have no places nothing is quoted but their sentence.

    picture: a figure or a page that was read off one, not a part of a text, where a line may look like a label.
    """
    if picture and (title := asked_axis(question, text, boxes, around)):
        return title, title
    crossed = crossings(question, text, boxes, around)
    if crossed is not None:
        only = crossed.pop() if len(crossed) == 1 else None
        return only if only and looks_wanted(question, text[slice(*only[1])]) else None
    found = asked_value(question, text, boxes, around, alone=bool(boxes) and not picture)
    return found if found is None or boxes else (None, found[1])
