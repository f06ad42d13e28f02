"""Cell look-up in tables on pages: on made-up boxes, and on tables drawn by script."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_pages import BILL, Page, placed

from rag.lookups.decide import look_up_page
from vision.training.rendered.grids import grid

HEADER = ["Team", "Score", "Away Team", "Attendance"]
ROWS = [
    ["Farnborough", "2-0", "Halifax", "863"],
    ["Margate", "0-2", "Tamworth", "971"],
    ["Dover", "", "Ashford", "1,204"],
]


def table(rows: list[list[str]]) -> Page:
    cells = ((row, column, cell) for row, cells in enumerate(rows) for column, cell in enumerate(cells))
    return placed(*((cell, 0.05 + 0.22 * column, 0.2 + 0.05 * row) for row, column, cell in cells if cell))


def said(page: Page, question: str) -> str | None:
    found = look_up_page(question, *page)
    return found and page[0][slice(*found.value)]


@pytest.mark.parametrize(("question", "cell"), [
    ("What is the attendance of Margate?", "971"),
    ("Who was the away team of Farnborough?", "Halifax"),
    ("What was the score of Margate?", "0-2"),
    ("What was the score of Dover?", None),
    ("What is the attendance of Dunwich?", None),
    ("What is the colour of Margate?", None),
    ("Which attendance is the highest, of Margate or Dover?", None),
    ("What is the attendance of Margate in 1931?", None),
    ("How many goals did Dover let in?", None),
])  # fmt: skip
def test_a_table(question: str, cell: str | None) -> None:
    assert said(table([HEADER, *ROWS]), question) == cell


def test_a_name_that_stands_in_two_rows_singles_out_no_cell() -> None:
    page = table([HEADER, *ROWS, ["Margate", "1-1", "Dover", "512"]])
    assert said(page, "What is the attendance of Margate?") is None


def test_of_several_values_beside_a_name_none_is_said_where_no_column_is_named() -> None:
    votes = table([["", "%", "+/-"], ["Liberals", "9", "3"], ["Greens", "4", "1"]])
    assert said(votes, "What is the % of Liberals?") is None


def test_the_name_of_a_column_is_said_whole_or_it_is_another() -> None:
    sheet = [["Year", "Deferred revenue", "Revenue"], ["2020", "120", "4,500"], ["2021", "130", ""]]
    assert said(table(sheet), "What was the revenue in 2020?") == "4,500"
    assert said(table(sheet), "What was the revenue in 2021?") is None


def test_a_title_over_a_chart_or_a_table_is_no_column() -> None:
    values = (("8,842", 0.3, 0.3), ("4,905", 0.4, 0.6))
    bars = placed(("Visitors to the mill", 0.25, 0.05), *values, ("2022", 0.3, 0.9), ("2023", 0.4, 0.9))
    assert said(bars, "How many visitors came to the mill in 2022?") == "8,842"
    values = (("412", 0.3, 0.3), ("97", 0.4, 0.6))
    crops = placed(("Tonnes harvested", 0.25, 0.05), *values, ("Maize", 0.29, 0.9), ("Barley", 0.39, 0.9))
    assert said(crops, "How many tonnes of maize?") == "412"
    header = (("Consolidated revenue", 0.45, 0.05), ("2022", 0.5, 0.1), ("2021", 0.6, 0.1))
    years = placed(*header, ("Products", 0.1, 0.15), ("5,000", 0.5, 0.15), ("4,000", 0.6, 0.15))
    assert said(years, "What was the consolidated revenue in 2021?") is None


def test_what_is_written_up_beside_a_chart_is_no_column() -> None:
    text, boxes = placed(("97", 0.2, 0.6), ("301", 0.4, 0.3), ("South", 0.2, 0.9), ("West", 0.4, 0.9))
    axis = "Revenue in millions"
    page = text + axis, [*boxes, (len(text), len(text) + len(axis), 0.02, 0.3, 0.05, 0.7)]
    assert said(page, "What was the revenue in West?") == "301"


def test_of_several_values_the_one_above_them_all_is_not_meant() -> None:
    head = (("ACME STORES", 0.4, 0.05), ("03/05/2021", 0.1, 0.1), ("14:32", 0.7, 0.1))
    bill = placed(*head, ("Hemp rope", 0.1, 0.2), ("2", 0.5, 0.2), ("31.00", 0.7, 0.2))
    assert said(bill, "How much was the hemp rope?") is None


def test_a_bill_has_no_columns_in_the_way() -> None:
    assert said(BILL, "How much VAT was paid at Pask's Ropes?") == "7.04"


ROW = st.lists(st.text("abcdefghij", min_size=3, max_size=8), min_size=3, max_size=3)


@given(st.lists(ROW, min_size=2, max_size=6), st.integers(0, 5), st.integers(1, 2))
def test_what_is_said_is_the_cell_or_nothing(rows: list[list[str]], at: int, column: int) -> None:
    at %= len(rows)
    header = ["first", "second", "third"]
    found = said(table([header, *rows]), f"What is the {header[column]} of {rows[at][0]}?")
    assert found in {row[column] for row in rows if row[0] == rows[at][0]} | {None}


def test_tables_drawn_by_script_are_read_and_silent_where_the_cell_is_gone() -> None:
    right = wrong = 0
    for number in range(20):
        rng = random.Random(number)
        rows = [[f"{rng.choice(row[0])}{row[0].lower()}", *row[1:]] for row in ROWS[:2]]
        page = grid("Matches", HEADER, rows, 0, rng)
        for fact in page.facts:
            for sheet in (page.sheet, page.sheet.without(*fact.own)):
                text, boxes = "", []
                for words in sheet.lines():
                    for word, box, _ in words:
                        boxes.append((len(text), len(text) + len(word), *box))
                        text += word + " "
                    text = text[:-1] + "\n"
                found = said((text, boxes), f"What is the {fact.asked} of {fact.keys[0][1]}?")
                if found:
                    same = sheet is page.sheet and found == page.sheet.runs[fact.value].text
                    right, wrong = right + same, wrong + (not same)
    assert right > 100 and not wrong
