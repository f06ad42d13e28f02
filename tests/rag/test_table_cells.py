"""Cell look-up in the rows of a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.common.cell_separator import CELL
from rag.lookups.table_cells import asked_cell, named_cells

HEADER = "Year | Visitors | Flour sold (kg) | Guide"
ROW = "2022 | 9,120 | 14,300 | Anna Pask"


def said(question: str, header: str = HEADER, row: str = ROW, around: str = "") -> str | None:
    cell = asked_cell(question, header, row, around)
    return cell and row[slice(*cell)]


@pytest.mark.parametrize(("question", "cell"), [
    ("How many visitors were there in 2022?", "9,120"),
    ("How many guides were there in 2022?", None),  # to be counted
    ("What was the number of visitors in 2022?", "9,120"),
    ("How much flour was sold in 2022?", "14,300"),
    ("Who was the guide in 2022?", "Anna Pask"),
    ("Who was the guide of 9,120 visitors?", "Anna Pask"),
    ("In what year was Anna Pask the guide?", "2022"),
    ("Who was the guide before 2022?", None),
    ("Who was the best guide in 2022?", None),
    ("Who was the guide in 2021?", None),
    ("Who cleaned the pond in 2022?", None),
    ("What about 2022?", None),
])  # fmt: skip
def test_words_tell_the_row_and_the_column(question: str, cell: str | None) -> None:
    assert said(question) == cell


def test_an_empty_corner_is_a_cell() -> None:
    """Of rows that begin or end with an empty cell only its bar is left."""
    assert said("What was the flour sold in 2022?", "| 2023 | 2022", "Flour sold | 48,120 | 44,910") == "44,910"
    assert said("Who was the guide in 2022?", "| Year | Guide | Notes", "| 2022 | Anna Pask |") == "Anna Pask"
    assert said("What notes are there on 2022?", "| Year | Guide | Notes", "| 2022 | Anna Pask |") is None


def test_what_stands_over_the_table_is_known() -> None:
    assert said("What were the visitors of the mill in 2022?") is None
    assert said("What were the visitors of the mill in 2022?", around="The mill in figures") == "9,120"


def test_rows_that_do_not_fit_their_header_and_empty_cells_say_nothing() -> None:
    assert said("Who was the guide in 2022?", row="2022 | 9,120") is None
    assert said("Who was the guide in 2022?", row="2022 | 9,120 | 14,300 | ") is None
    assert said("Who was the guide in the year?", row=HEADER) is None


CELLS = st.lists(st.text(st.characters(blacklist_characters="|\n"), max_size=12), min_size=2, max_size=6)


@given(CELLS, st.text(max_size=40), st.text(max_size=20))
def test_what_is_said_is_a_cell(cells: list[str], question: str, around: str) -> None:
    row = CELL.join(cells)
    header = CELL.join(f"Name {at}" for at in range(row.count(CELL) + 1))
    found = said(f"{question} {cells[0]} name", header, row, around)
    assert found is None or (found and found in {cell.strip() for cell in row.split(CELL)})


def named(question: str, header: str, row: str) -> list[str]:
    return [row[start:end] for start, end in named_cells(question, header, row)]


def test_the_columns_that_a_question_names() -> None:
    assert named("How many visitors came?", HEADER, "2022 | 9,120 | 14,300 | Anna Pask") == ["9,120"]
    assert named("Why?", HEADER, "2022 | 9,120 | 14,300 | Anna Pask") == []


def test_a_forms_row_has_its_own_labels() -> None:
    """What stands over it is another row, whose words name nothing."""
    above, row = "Aircraft Make: | Piper | Registration: | N112ED", "ELT: | Installed | Engine Model/Series: | PT6A-28"
    assert named("Which engine model did the Piper have?", above, row) == ["PT6A-28"]
    assert named("What did the Piper cost?", above, row) == []
    assert said("Which engine model did the Piper have?", above, row) is None
    assert named("Which engine model did it have?", above, "ELT: | Installed | Engine Model/Series: | ") == []
