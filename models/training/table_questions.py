"""Cell questions generated from real tables: to learn to find the cell of a row and a column, and to read forms.

Half of them are put to an excerpt of a table, half to one or two of its rows written as forms; half of each are
unanswerable. The caller leaves out tables that are held out. Deterministic with a seed. Knows nothing of tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

from models.common.cell_separator import CELL
from models.training.question_phrasing import Lookup, asked_by, question
from models.training.question_sets import QaRow, Span
from models.training.table_contexts import (
    FEWEST_ROWS,
    WORD,
    YEAR,
    Table,
    has_letters,
    has_value,
    has_words,
    key_columns,
    words,
)

# sizes of what a retriever finds, and shares of the ways to ask, chosen by hand
ROWS, LONGEST = (FEWEST_ROWS, 15), 900  # rows of an excerpt, fewest and most; characters of a context
KEY, ANSWER = 60, 100  # characters of a cell that names its row or is asked for, at most
PER_TABLE = 8  # questions of one table at most
LAYOUTS = ((": ", 1), (": ", 2), (": ", 3), (" - ", 1), (" ", 1), ("\n", 1))  # (name from cell by, pairs on a line)
BY_NAME, BY_CELL = 0.65, 0.20  # by the name of a row; by another cell, where the name is asked for; else by any cells


@dataclass(frozen=True, slots=True)
class CellQuestion:
    """The cell asked for, and the keys that name its row: (column, the cell there or a part of it).

    named: the key is ambiguous without the name of its column.
    """

    row: int
    column: int
    keys: tuple[tuple[int, str], ...]
    named: bool


def lookups(tables: Sequence[Table], count: int, seed: int) -> list[QaRow]:
    """`count` cell questions, or as many as the tables give."""
    rng = random.Random(seed)
    wanted = list(product((_of_table, _of_form), (False, True)))  # in turn
    made: list[QaRow] = []
    for _ in range(PER_TABLE):
        for table in rng.sample(tables, len(tables)):
            if len(made) == count:
                return made
            make, unanswerable = wanted[len(made) % len(wanted)]
            if row := make(table, f"lookups-{len(made)}", unanswerable, rng):
                made.append(row)
    return made


def _keys(table: Table, row: int, rng: random.Random, *, form: bool) -> tuple[list[int], list[int]]:
    """The columns that name a row, and those that may be asked for.

    Mostly its leftmost key column names a row, else another cell, or two cells.
    """
    filled = [column for column, cell in enumerate(table.rows[row]) if has_value(cell)]
    names, drawn = key_columns(table), 0.0 if form else rng.random()
    if names and drawn < BY_NAME:
        return [names[0] if rng.random() < 0.75 else rng.choice(names)], filled
    if names and drawn < BY_NAME + BY_CELL:
        return [rng.choice(filled)], [names[0]]
    with_words = [column for column in filled if WORD.search(table.rows[row][column])]
    if form or not with_words or len(filled) < 3:
        return [], []
    first = rng.choice(with_words)
    return [first, rng.choice([column for column in filled if column != first])], filled


def _pick(table: Table, row: int, rng: random.Random, *, form: bool) -> CellQuestion | None:
    """A cell of this row, and keys that no other row has. None where the draw finds none."""
    cells, header = table.rows[row], table.header
    keys, columns = _keys(table, row, rng, form=form)
    columns = [at for at in columns if at not in keys and len(cells[at]) <= ANSWER]
    columns = [at for at in columns if has_letters(header[at]) or YEAR.fullmatch(header[at])]
    if not keys or not columns or any(len(cells[key]) > KEY for key in keys):
        return None
    column, texts = rng.choice(columns), [cells[key] for key in keys]
    others = [other for at, other in enumerate(table.rows) if at != row]
    lines = [CELL.join(other) for other in others]
    if any(all(words(other[key]) == words(cells[key]) for key in keys) for other in others):
        return None
    if any(has_words(text, cells[column]) for text in texts):
        return None
    if len(keys) == 1 and rng.random() < 0.25:  # a surname, or what precedes a comma or a bracket
        part = texts[0].split()[-1] if asked_by(header[keys[0]]) == "who" else re.split(r"\s*[(,]", texts[0])[0]
        if WORD.search(part) and not any(has_words(line, part) for line in lines):
            texts = [part]
    elsewhere = any(all(has_words(line, text) for text in texts) for line in lines)
    if len(keys) == 2 and elsewhere:
        return None
    named = len(keys) == 1 and (elsewhere or not (WORD.search(texts[0]) or YEAR.fullmatch(texts[0])))
    return CellQuestion(row, column, tuple(zip(keys, texts, strict=True)), named)


def _is_unlike_others(table: Table, column: int) -> bool:
    """Whether no other column could answer in its stead: no name of one is a part of the other's."""
    name = table.header[column]
    others = [other for at, other in enumerate(table.header) if at != column]
    return not any(has_words(other, name) or has_words(name, other) for other in others)


def _question(table: Table, cell: CellQuestion, rng: random.Random, *, alone: bool = False) -> str:
    """alone: without keys, where the context has one row only."""
    kind = asked_by(table.header[cell.column])
    sole = [asked_by(name) for name in table.header].count(kind) == 1
    keys = () if alone else tuple((table.header[key], text) for key, text in cell.keys)
    lookup = Lookup(table.header[cell.column], keys, cell.named, sole)
    return question(lookup, table.rows[cell.row][cell.column], rng)


def _of_table(table: Table, name: str, unanswerable: bool, rng: random.Random) -> QaRow | None:
    """A question about an excerpt of the table. Unanswerable: the excerpt lacks the row asked for, or the column.

    The place of that row in the excerpt is drawn first and evenly, so that no place is likelier than another.
    """
    size = rng.randint(ROWS[0], min(ROWS[1], len(table.rows)))
    first = rng.randint(0, len(table.rows) - size)
    while size and len("\n".join(map(CELL.join, (table.header, *table.rows[first : first + size])))) > LONGEST:
        size -= 1
    without_row = unanswerable and rng.random() < 0.5
    without_column = unanswerable and not without_row
    if size < ROWS[0] + without_row:
        return None
    row = first + rng.randrange(size)
    cell = _pick(table, row, rng, form=False)
    if cell is None or (without_column and not _is_unlike_others(table, cell.column)):
        return None
    shown = [at for at in range(first, first + size) if not (without_row and at == row)]
    columns = [at for at in range(len(table.header)) if not (without_column and at == cell.column)]
    lines = [CELL.join(line[at] for at in columns) for line in (table.header, *(table.rows[at] for at in shown))]
    answer, answers = table.rows[row][cell.column], ()
    if unanswerable:
        texts = (answer, *(text for _, text in cell.keys))
        if any(all(has_words(line, text) for text in texts) for line in lines):
            return None
    else:
        before = sum(len(line) + 1 for line in lines[: 1 + shown.index(row)])
        answers = (Span(answer, before + len(CELL.join((*table.rows[row][: cell.column], "")))),)
    asked = _question(table, cell, rng)
    return QaRow(name, "lookups", asked, "\n".join(lines), table.title, answers, unanswerable, "table")


def _of_form(table: Table, name: str, unanswerable: bool, rng: random.Random) -> QaRow | None:
    """A question about a row written as a form, or about two such forms for one question in four.

    The name of the row is in the form or in the title. Unanswerable: it is the form of another row, or lacks the field.
    """
    cell = _pick(table, rng.randrange(len(table.rows)), rng, form=True)
    two, without_row = rng.random() < 0.25, unanswerable and rng.random() < 0.5
    if cell is None or (unanswerable and not without_row and not _is_unlike_others(table, cell.column)):
        return None
    ((key, row_name),) = cell.keys
    others = rng.sample([at for at in range(len(table.rows)) if at != cell.row], 2)
    shown = others[: 1 + two] if without_row else [cell.row, *others[:two]]
    rng.shuffle(shown)
    inside = two or rng.random() < 0.5  # the name of the row is a field of the form
    layout = rng.choice(LAYOUTS)
    label = table.rows[shown[0]][key]
    title = table.title if inside else f"{table.title} - {label}" if table.title and rng.random() < 0.5 else label
    answer, context, answers = table.rows[cell.row][cell.column], "", ()
    for row in shown:
        asked_for = row == cell.row
        left_out = {*(() if inside else (key,)), *((cell.column,) if unanswerable and asked_for else ())}
        form, starts = _form(table, row, left_out, layout)
        text = form + CELL + title
        if len(starts) < 2:
            return None
        if unanswerable and has_words(text, row_name) and (without_row or has_words(text, answer)):
            return None
        context += "\n\n" * bool(context)
        if not unanswerable and asked_for:
            answers = (Span(answer, len(context) + starts[cell.column]),)
        context += form
    if len(context) > LONGEST:
        return None
    alone = not (two or without_row) and rng.random() < 0.4
    asked = _question(table, cell, rng, alone=alone)
    return QaRow(name, "lookups", asked, context, title, answers, unanswerable, "extractive")


def _form(table: Table, row: int, left_out: Collection[int], layout: tuple[str, int]) -> tuple[str, dict[int, int]]:
    """A row as a form, and the character at which the cell of each column begins. Empty cells are left out too."""
    separator, pairs_per_line = layout
    text, starts = "", {}
    for column, (name, cell) in enumerate(zip(table.header, table.rows[row], strict=True)):
        if column not in left_out and has_value(cell):
            gap = "" if not starts else "  " if len(starts) % pairs_per_line else "\n"
            text += gap + name + separator
            starts[column] = len(text)
            text += cell
    return text, starts
