"""Look-ups made by script from real tables, to learn to find the cell of a row and a column, and to read forms.

Half of them are put to an excerpt of a table, half to one or two of its rows written as forms; half of each cannot be answered. The
caller keeps tables out by their context. Deterministic with a seed. Knows nothing of tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

from models.training.question_phrasing import Lookup, question, sort
from models.training.question_sets import QaRow, Span
from models.training.table_contexts import CELL, LEAST, WORD, YEAR, Table, key_columns, lettered, said, stands, words

ROWS, LONGEST = (LEAST, 15), 900  # rows of an excerpt; characters of a context
KEY, ANSWER = 60, 100  # characters of a cell that is named or asked for, at most
PER_TABLE = 8  # questions of one table at most
LAYOUTS = ((": ", 1), (": ", 2), (": ", 3), (" - ", 1), (" ", 1), ("\n", 1))  # between a name and its cell; pairs on a line


@dataclass(frozen=True, slots=True)
class Cell:
    """What is asked for, and the columns and words by which it is."""

    row: int
    column: int
    keys: tuple[tuple[int, str], ...]
    named: bool


def lookups(tables: Sequence[Table], count: int, seed: int) -> list[QaRow]:
    """`count` look-ups, or as many as the tables give."""
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
    """Columns that a row is found by, and those that may be asked for: mostly its leftmost name, else another cell of it, or two of them."""
    filled = [column for column, cell in enumerate(table.rows[row]) if said(cell)]
    names, how = key_columns(table), 0.0 if form else rng.random()
    if names and how < 0.65:
        return [names[0] if rng.random() < 0.75 else rng.choice(names)], filled
    if names and how < 0.85:  # the other way round: the name is asked for
        return [rng.choice(filled)], [names[0]]
    telling = [column for column in filled if WORD.search(table.rows[row][column])]
    if form or not telling or len(filled) < 3:
        return [], []
    first = rng.choice(telling)
    return [first, rng.choice([column for column in filled if column != first])], filled


def _pick(table: Table, row: int, rng: random.Random, *, form: bool) -> Cell | None:
    """A cell of this row, and what tells the row from every other of the table."""
    cells, header = table.rows[row], table.header
    keys, columns = _keys(table, row, rng, form=form)
    columns = [at for at in columns if at not in keys and len(cells[at]) <= ANSWER and (lettered(header[at]) or YEAR.fullmatch(header[at]))]
    if not keys or not columns or any(len(cells[key]) > KEY for key in keys):
        return None
    column, texts = rng.choice(columns), [cells[key] for key in keys]
    others = [other for at, other in enumerate(table.rows) if at != row]
    lines = [CELL.join(other) for other in others]
    if any(all(words(other[key]) == words(cells[key]) for key in keys) for other in others) or any(stands(cells[column], text) for text in texts):
        return None
    if len(keys) == 1 and rng.random() < 0.25:
        part = texts[0].split()[-1] if sort(header[keys[0]]) == "who" else re.split(r"\s*[(,]", texts[0])[0]
        if WORD.search(part) and not any(stands(part, line) for line in lines):
            texts = [part]
    elsewhere = any(all(stands(text, line) for text in texts) for line in lines)
    if len(keys) == 2 and elsewhere:
        return None
    named = len(keys) == 1 and (elsewhere or not (WORD.search(texts[0]) or YEAR.fullmatch(texts[0])))
    return Cell(row, column, tuple(zip(keys, texts, strict=True)), named)


def _missed(table: Table, column: int) -> bool:
    """Whether no other column has a name that is a part of this one's, or the other way round, and may stand in for it."""
    name = table.header[column]
    return not any(stands(name, other) or stands(other, name) for at, other in enumerate(table.header) if at != column)


def _question(table: Table, cell: Cell, rng: random.Random, *, alone: bool = False) -> str:
    sole = [sort(name) for name in table.header].count(sort(table.header[cell.column])) == 1
    keys = () if alone else tuple((table.header[key], text) for key, text in cell.keys)
    return question(Lookup(table.header[cell.column], keys, cell.named, sole), table.rows[cell.row][cell.column], rng)


def _of_table(table: Table, name: str, unanswerable: bool, rng: random.Random) -> QaRow | None:
    """Put to some rows of the table; the place of the row asked for is drawn evenly, and nothing else is looked at before."""
    size = rng.randint(ROWS[0], min(ROWS[1], len(table.rows)))
    first = rng.randint(0, len(table.rows) - size)
    while size and len("\n".join(map(CELL.join, (table.header, *table.rows[first : first + size])))) > LONGEST:
        size -= 1
    without_row = unanswerable and rng.random() < 0.5
    if size < ROWS[0] + without_row:
        return None
    row = first + rng.randrange(size)
    cell = _pick(table, row, rng, form=False)
    if cell is None or (unanswerable and not without_row and not _missed(table, cell.column)):
        return None
    shown = [at for at in range(first, first + size) if not (without_row and at == row)]
    columns = [at for at in range(len(table.header)) if not (unanswerable and not without_row and at == cell.column)]
    lines = [CELL.join(line[at] for at in columns) for line in (table.header, *(table.rows[at] for at in shown))]
    answer = table.rows[row][cell.column]
    if unanswerable:
        if any(all(stands(text, line) for text in (answer, *(text for _, text in cell.keys))) for line in lines):
            return None
        answers = ()
    else:
        start = sum(len(line) + 1 for line in lines[: 1 + shown.index(row)]) + len(CELL.join((*table.rows[row][: cell.column], "")))
        answers = (Span(answer, start),)
    return QaRow(name, "lookups", _question(table, cell, rng), "\n".join(lines), table.title, answers, unanswerable, "table")


def _of_form(table: Table, name: str, unanswerable: bool, rng: random.Random) -> QaRow | None:
    """Put to the row asked for, or to another, as a form: its name stands in the form or in the title. One in four has two forms."""
    cell = _pick(table, rng.randrange(len(table.rows)), rng, form=True)
    two, strange = rng.random() < 0.25, unanswerable and rng.random() < 0.5
    if cell is None or (unanswerable and not strange and not _missed(table, cell.column)):
        return None
    ((key, name_said),) = cell.keys
    others = rng.sample([at for at in range(len(table.rows)) if at != cell.row], 2)
    shown = others[: 1 + two] if strange else [cell.row, *others[:two]]
    rng.shuffle(shown)
    inside = two or rng.random() < 0.5
    layout = rng.choice(LAYOUTS)
    label = table.rows[shown[0]][key]
    title = table.title if inside else f"{table.title} - {label}" if table.title and rng.random() < 0.5 else label
    answer, context, answers = table.rows[cell.row][cell.column], "", ()
    for row in shown:
        left_out = {*(() if inside else (key,)), *((cell.column,) if unanswerable and row == cell.row else ())}
        form, starts = _form(table, row, left_out, layout)
        if len(starts) < 2 or (unanswerable and stands(name_said, form + CELL + title) and (strange or stands(answer, form + CELL + title))):
            return None
        context += "\n\n" * bool(context)
        if not unanswerable and row == cell.row:
            answers = (Span(answer, len(context) + starts[cell.column]),)
        context += form
    if len(context) > LONGEST:
        return None
    alone = not (two or strange) and rng.random() < 0.4
    return QaRow(name, "lookups", _question(table, cell, rng, alone=alone), context, title, answers, unanswerable, "extractive")


def _form(table: Table, row: int, left_out: Collection[int], layout: tuple[str, int]) -> tuple[str, dict[int, int]]:
    """A row as a form, and where the cell of each column begins in it."""
    mark, on_a_line = layout
    text, starts = "", {}
    for column, (name, cell) in enumerate(zip(table.header, table.rows[row], strict=True)):
        if column not in left_out and said(cell):
            text += ("" if not starts else "  " if len(starts) % on_a_line else "\n") + name + mark
            starts[column] = len(text)
            text += cell
    return text, starts
