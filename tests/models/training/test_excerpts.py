"""Excerpts of long tables around an answer, and the openings of documents."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from models.training.excerpts import LONGEST, OPENING, excerpt, openings
from models.training.question_sets import QaRow, Span

CELLS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30)


def asked(context: str, answers: tuple[Span, ...], title: str = "") -> QaRow:
    return QaRow("1", "wtq", "Which?", context, title, answers, False, "table")


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=2, max_size=60), st.data())
def test_the_answer_stays_in_its_row_under_the_header(rows: list[tuple[str, str, str]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    lines = [" | ".join(row) for row in rows]
    start = sum(len(line) + 1 for line in lines[:at]) + len(rows[at][0]) + 3
    whole = asked("\n".join(lines), (Span(rows[at][1], start),))
    part = excerpt(whole, random.Random(data.draw(st.integers(0, 9))))
    [answer] = part.answers
    assert part.context[answer.start : answer.start + len(answer.text)] == answer.text == rows[at][1]
    assert part.context[: answer.start].rpartition("\n")[2] == rows[at][0] + " | "
    kept = part.context.split("\n")
    assert kept[0] == lines[0] and "\n".join(kept[1:]) in whole.context
    if part is not whole:
        assert len(whole.context) > LONGEST >= len(part.context) and at > 0


def test_the_answers_row_is_anywhere() -> None:
    lines = ["name | length", *(f"creek {i} | {i} miles" for i in range(100))]
    context = "\n".join(lines)
    row = asked(context, (Span("50 miles", context.index("50 miles")),))
    places = [excerpt(row, random.Random(seed)).context.split("\n").index("creek 50 | 50 miles") for seed in range(200)]
    assert len(set(places)) > 8 and places.count(1) < 30


def test_the_first_passage_of_a_title_opens_it() -> None:
    rows = [asked("first " * 99, (), "Mill"), asked("second", (), "Mill"), asked("no title", ())]
    assert openings(rows) == {"Mill": ("first " * 99, ("first " * 99)[:OPENING])}
