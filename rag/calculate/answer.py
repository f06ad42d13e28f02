"""A computed answer: its sentence, with each operand cited. Pure.

In: a query whose kind is an operation, and a context with the whole tables of its evidence. Out: a Draft, or None where
neither a table nor the text singles out the operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from indexing.types import Modality
from rag.calculate.operands import Operands
from rag.calculate.operations import CalculationError, compute, in_one_unit
from rag.calculate.quantities import WORDS, Quantity
from rag.calculate.sentences import said, sentence
from rag.calculate.table_questions import EXTREMES, measures, select
from rag.calculate.tables import Row, Table, table_of
from rag.calculate.text_questions import compared
from rag.question_kind import Kind
from rag.types import Context, Draft, Evidence, Support
from rag.word_lists import any_of

UNSUPPORTED = any_of(WORDS["operations"]["unsupported"])
CITED = 40  # spans of rows that are cited; of a longer table the first ones
LOGGED = 20  # operands that the trace tells
TEXTS = 8  # pieces of evidence that are searched for statements
SURE = 0.99  # least share of the question's words that a table accounts for
# How likely an answer is right whose cells account for all words of a question: 29 of 34 of TAT-QA's development part,
# python -m bench.arithmetic DATA --given. With a word in five left over it is 0.57: such answers are not said.
CONFIDENCE = 0.83
ONE = Quantity(Decimal(1), "", 0, 0)  # a row that is counted
COMPARED = 0.6  # of statements in text: not fitted, there are no questions of the kind to fit it on
COMPARISONS = (Kind.LARGEST, Kind.SMALLEST, Kind.DIFFERENCE, Kind.CHANGE, Kind.RATIO)


def computed(question: str, operation: Kind, context: Context) -> Draft | None:
    """The computed answer to a question."""
    if UNSUPPORTED.search(question):
        return None
    operation, found = _in_tables(question, operation, context)
    if found is None and operation in COMPARISONS:
        found = _in_text(question, operation, context)
    if found is None:
        return None
    try:
        counts = operation is Kind.COUNT
        quantities = found.quantities if counts else in_one_unit(found.quantities)
        result = compute(operation, quantities)
    except (CalculationError, ArithmeticError) as error:
        return Draft("", (), 0.0, abstained=True, details={"not_computed": str(error)})
    text = sentence(operation, found, quantities, result)
    operands = [f"{said(one)} ({name})" for one, name in zip(quantities, found.names, strict=True)][:LOGGED]
    details = {"computed": operation.value, "operands": operands, "result": said(result)}
    supports = tuple(Support(number, start, end, 0, len(text)) for number, start, end in found.spans[:CITED])
    answer = (0, len(said(result))) if text.startswith(said(result)) else None
    return Draft(text, supports, found.confidence, abstained=False, details=details, answer=answer)


def _in_tables(question: str, asked: Kind, context: Context) -> tuple[Kind, Operands | None]:
    """The cells that account for most of the question's words; of the better ranked table where two do.

    The operation is the one that was asked for; a sum where a column measures what seems to be counted.
    """
    best, most, rival = None, 0.0, False
    for pieces in context.tables.values():
        if (table := table_of(pieces)) is None:
            continue
        operation = Kind.SUM if asked is Kind.COUNT and measures(question, table) else asked
        selection = select(question, operation, table)
        if selection and selection.coverage > most:
            best, most, rival = (operation, pieces, table, selection.cells), selection.coverage, False
        elif selection and best and selection.coverage == most:
            rival = rival or table.columns == best[2].columns  # sheets of two years: which is meant?
    if best is None or most < SURE or rival:
        return asked, None
    operation, pieces, table, cells = best
    return operation, _operands(pieces, table, cells, operation, context)


def _operands(
    pieces: Sequence[Evidence], table: Table, cells: Sequence[tuple[int, int]], operation: Kind, context: Context
) -> Operands:
    rows, columns = {row for row, _ in cells}, {column for _, column in cells}
    counts = operation is Kind.COUNT
    by_row = counts or len(rows) > 1
    names = tuple(
        table.rows[row].cells[column].text if counts and column else
        table.rows[row].label if by_row else table.columns[column] for row, column in cells
    )  # fmt: skip
    quantities = tuple(ONE if counts else table.quantity(row, column) for row, column in cells)
    of = "" if counts or len(columns) > 1 else table.columns[next(iter(columns))]
    numbers = {piece.chunk_id: number for number, piece in reversed([*enumerate(context.pieces)])}
    spans = [(numbers[pieces[piece].chunk_id], start, end) for piece, start, end in _row_spans(table, sorted(rows))]
    return Operands(names, quantities, of, tuple(spans), CONFIDENCE)


def _row_spans(table: Table, rows: Sequence[int]) -> list[tuple[int, int, int]]:
    """(piece, start, end) of these rows, consecutive ones of a piece in one span."""
    spans: list[tuple[int, int, int]] = []
    last = -2
    for at in rows:
        piece, start, end = _span(table.rows[at])
        if at == last + 1 and spans[-1][0] == piece:
            spans[-1] = (piece, spans[-1][1], end)
        else:
            spans.append((piece, start, end))
        last = at
    return spans


def _span(row: Row) -> tuple[int, int, int]:
    """The piece of a row, and its span from the first filled cell to the last."""
    filled = [cell for cell in row.cells if cell.text]
    return filled[0].piece, filled[0].start, filled[-1].end


def _in_text(question: str, operation: Kind, context: Context) -> Operands | None:
    """The quantities that statements of the first pieces of evidence name."""
    numbers = [at for at, piece in enumerate(context.evidence[:TEXTS]) if piece.modality is Modality.TEXT]
    texts = [context.evidence[at].text for at in numbers]
    found = compared(question, texts, extreme=operation in EXTREMES)
    if found is None:
        return None
    if operation in (Kind.DIFFERENCE, Kind.CHANGE):
        found = found[::-1]  # "how much wider is A than B" takes B from A
    quantities = tuple(Quantity(one.quantity.value, one.quantity.unit, 0, 0, one.quantity.places) for one in found)
    spans = tuple((numbers[one.piece], one.start, one.end) for one in found)
    return Operands(tuple(one.name for one in found), quantities, "", spans, COMPARED)
