"""Cell look-up in a table's row as text: the cell under the header that the question names.

In: a question, the header row and another row, cells separated by CELL. Out: the span of a cell. Words alone decide:
words of the question in the row tell which row is meant, the others which column. Knows no boxes and no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from indexing.types import Modality
from models.common.cell_separator import CELL
from rag.calculate.quantities import quantities
from rag.lookups.text_runs import Span
from rag.lookups.vocabulary import ASKING, COMPARES, LISTS
from rag.types import Evidence
from rag.word_lists import any_of
from rag.words import stems

_RELATES, _COUNTS = any_of(LISTS["table_cells"]["relates"]), any_of(LISTS["table_cells"]["counts"])


def table_header(piece: Evidence) -> str:
    """The header row of a chunk of table rows, without which its cells mean nothing; "" where there is none."""
    header = piece.headings[-1] if piece.modality is Modality.TABLE and piece.headings else ""
    return header if CELL in header else ""


def asked_cell(question: str, header: str, row: str, around: str = "") -> Span | None:
    """(start, end) of the cell in `row`; None where the question does not single one out.

    around: headings over the table and the name of its document. A word of the question that stands in none of row,
    header and these asks for something else.
    """
    if header == row or COMPARES.search(question) or _RELATES.search(question):
        return None
    matched = _match(question, header, row)
    if matched is None or not matched.label:
        return None
    if len(matched.named) != 1 or matched.words - matched.label - matched.names[matched.named[0]] - stems(around):
        return None
    start, end = _trimmed(row, matched.cells[matched.named[0]])
    return (start, end) if quantities(row[start:end]) or not _COUNTS.search(question) else None


def named_cells(question: str, header: str, row: str) -> list[Span]:
    """(start, end) of the cells in `row` under the headers that share most words with the question; [] for none.

    In a form's row, `label: | value | label: | value`, of the values behind such labels: its header is another row.
    """
    if not _is_form(row):
        matched = _match(question, header, row)
        return [_trimmed(row, matched.cells[at]) for at in matched.named] if matched else []
    words, shared = stems(question) - ASKING, {}
    for label, value in pairwise(_trimmed(row, cell) for cell in cell_spans(row)):
        if row[slice(*label)].endswith(":") and value[0] < value[1]:
            shared[value] = len(words & stems(row[slice(*label)]))
    most = max(shared.values(), default=0)
    return [value for value, count in shared.items() if count == most] if most else []


@dataclass(frozen=True, slots=True)
class _Match:
    """A row against a question. Columns are numbered from 0.

    words: of the question; label: those that tell which row is meant; names: of each column; cells: their spans.
    named: of the columns whose cell holds no word of the question, those whose header shares the largest part of its
    words with the question, if any does.
    """

    words: frozenset[str]
    label: frozenset[str]
    names: list[frozenset[str]]
    cells: list[Span]
    named: list[int]


def _is_form(row: str) -> bool:
    return any(row[start:end].rstrip().endswith(":") for start, end in cell_spans(row))


def _match(question: str, header: str, row: str) -> _Match | None:
    """None for a row that does not fit its header, or has labels of its own."""
    names, cells = [stems(header[start:end]) for start, end in cell_spans(header)], cell_spans(row)
    if len(names) != len(cells) or _is_form(row):
        return None
    words, label = stems(question) - ASKING, frozenset()
    free = []
    for at, (start, end) in enumerate(cells):
        if shared := words & stems(row[start:end]):
            label |= shared | names[at]
        elif row[start:end].strip():
            free.append(at)
    shares = {at: len(names[at] & words - label) / len(names[at]) for at in free if names[at]}
    best = max(shares.values(), default=0.0)
    named = [at for at, share in shares.items() if share == best] if best else []
    return _Match(words, label, names, cells, named)


def _trimmed(row: str, cell: Span) -> Span:
    text = row[slice(*cell)]
    return cell[0] + len(text) - len(text.lstrip()), cell[0] + len(text.rstrip())


def cell_spans(row: str) -> list[Span]:
    """(start, end) of each cell; of a first or last one that is empty nothing but its bar may be left."""
    whole = " " * row.startswith("|") + row + " " * row.endswith("|")
    at, cells = -int(row.startswith("|")), []
    for cell in whole.split(CELL):
        cells.append((max(at, 0), max(0, min(at + len(cell), len(row)))))
        at += len(cell) + len(CELL)
    return cells
