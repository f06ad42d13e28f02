"""Cell questions: answer offsets, what unanswerable means, even places in a table, and which tables are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qa_files import row, write_jsonl

from models.training.table_contexts import Table, has_words, read_tables
from models.training.table_questions import LONGEST, PER_TABLE, lookups

MILLS = Table(
    "Mills of the valley", ("Mill", "River", "Built", "Wheels"),
    (("Upper Mill", "Lenne", "1820", "2"), ("Fox Mill", "Bigge", "1790", "3"), ("Long Mill", "Lenne", "1820", "1"),
     ("Salt Mill", "Ruhr", "1911", "2")), "mills",
)
TREES = ("Oak", "Elm", "Ash", "Fir", "Yew", "Pine", "Beech", "Alder", "Birch", "Larch", "Maple", "Rowan")
FERRIES = Table(
    "", ("year", "ferry", "captain", "fare_eur"),
    tuple((str(1990 + i), f"{name} ferry", f"Ada {name}s", str(i % 3)) for i, name in enumerate(TREES)), "ferries",
)
WORDS = st.sampled_from(
    ["red", "green", "blue", "7", "12", "1999", "2001", "-", "north", "south", "Berg", "Tal", "Hof"]
)
CELLS = st.lists(WORDS, max_size=2).map(" ".join)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Names and numbers from few words, so that equal cells and cells within cells abound."""
    columns = st.sampled_from(["City", "Date", "Points", "Score", "Built by", "2001"])
    header = ("Name", *draw(st.lists(columns, min_size=1, max_size=4, unique=True)))
    people = st.sampled_from([f"{a} {b}" for a in ("Anna", "Bert", "Cleo") for b in ("Berg", "Tal", "Hof")])
    names = draw(st.lists(people, min_size=3, max_size=9, unique=True))
    rows = tuple((name, *(draw(CELLS) for _ in header[1:])) for name in names)
    return Table(draw(st.sampled_from(["", "Games"])), header, rows, "")


def many(table: Table, seed: int, count: int = 12) -> list:
    """One table as many, so that it is not used up."""
    return lookups([replace(table, context=str(i)) for i in range(40)], count, seed)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 9))
def test_an_answer_is_the_cell_of_its_row_and_column(table: Table, seed: int) -> None:
    for made in many(table, seed):
        assert len(made.context) <= LONGEST
        assert made.unanswerable == (not made.answers)
        for answer in made.answers:
            assert made.context.startswith(answer.text, answer.start)
            if made.kind == "table":
                above = made.context[: answer.start].split("\n")
                column = above[-1].count(" | ")
                cells = made.context.split("\n")[len(above) - 1].split(" | ")
                assert cells[column] == answer.text
                assert tuple(cells) in table.rows
                assert table.header[column].lower() in made.question.lower() or made.question.startswith(
                    ("Who", "When", "Where")
                )


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 9))
def test_what_is_unanswerable_does_not_hold_the_cell_under_its_name(table: Table, seed: int) -> None:
    for made in many(table, seed, 24):
        if not made.unanswerable:
            continue
        for cells in table.rows:
            if not made.question.count(cells[0]):
                continue
            parts = (
                made.context.split("\n")
                if made.kind == "table"
                else [f"{part} {made.title}" for part in made.context.split("\n\n")]
            )
            under = [part for part in parts if has_words(part, cells[0])]
            named = [cell for name, cell in zip(table.header, cells, strict=True) if has_words(made.question, name)]
            asked = [cell for cell in named if not has_words(made.question, cell)]
            if len(asked) == 1 and asked[0].strip("- "):
                assert not any(has_words(part, asked[0]) for part in under), made


def test_the_answer_is_the_one_that_a_reader_of_the_table_would_give() -> None:
    asked = 0
    for made in many(MILLS, 0, 200):
        named = [cells for cells in MILLS.rows if cells[0] in made.question]
        columns = [at for at, name in enumerate(MILLS.header[1:], 1) if name.lower() in made.question.lower()]
        if made.answers and len(named) == len(columns) == 1:
            asked += 1
            assert made.answers[0].text == named[0][columns[0]]
    assert asked > 30


def test_no_place_in_a_table_is_likelier_than_another() -> None:
    places = [
        (made.context[: made.answers[0].start].count("\n") - 1, made.context.count("\n"))
        for made in lookups([replace(FERRIES, context=str(i)) for i in range(1500)], 8000, 0)
        if made.kind == "table" and made.answers
    ]
    even = sum(1 / size for _, size in places)
    assert even > 200
    assert abs(sum(place == 0 for place, _ in places) - even) < 4 * even**0.5
    assert abs(sum(place == size - 1 for place, size in places) - even) < 4 * even**0.5
    assert abs(sum((place + 0.5) / size - 0.5 for place, size in places)) < 4 * (len(places) / 12) ** 0.5


def test_unanswerable_is_made_in_each_way() -> None:
    ways = Counter()
    for made in many(FERRIES, 2, 320):
        ferry = next((cells for cells in FERRIES.rows if cells[0] in made.question), None)
        if ferry and made.unanswerable and "captain" in made.question.lower():
            ways[made.kind, "captain" in made.context, has_words(f"{made.context} {made.title}", ferry[0])] += 1
    left_out, another = (False, True), (True, False)
    assert all(ways[kind, *way] > 1 for kind in ("table", "extractive") for way in (left_out, another))


def test_half_are_forms_half_are_unanswerable_and_no_table_is_asked_much() -> None:
    made = lookups([MILLS, FERRIES] * 30, 240, 3)
    assert Counter((one.kind, one.unanswerable) for one in made) == dict.fromkeys(
        product(("table", "extractive"), (False, True)), 60
    )
    assert len({one.id for one in made}) == 240
    assert len({one.question for one in made}) > 120
    assert 0 < len(lookups([FERRIES], 100, 0)) <= PER_TABLE


def test_forms_have_their_name_inside_or_in_the_title() -> None:
    forms = [one for one in many(MILLS, 1, 320) if one.kind == "extractive" and one.answers]
    inside = [one for one in forms if any(cells[0] in one.context for cells in MILLS.rows)]
    assert 0.4 < len(inside) / len(forms) < 0.8
    assert all(one.title == MILLS.title for one in inside)
    assert all(any(cells[0] in one.title for cells in MILLS.rows) for one in forms if one not in inside)
    assert any("\n\n" in one.context for one in forms)


def test_the_seed_decides() -> None:
    assert (
        lookups([MILLS, FERRIES] * 10, 60, 5)
        == lookups([MILLS, FERRIES] * 10, 60, 5)
        != lookups([MILLS, FERRIES] * 10, 60, 6)
    )


def test_a_header_longer_than_a_context_is_passed_over() -> None:
    wide = Table("", ("name", "x" * LONGEST), (("Ada Oak", "1"), ("Bo Elm", "2"), ("Cy Ash", "3")), "")
    assert not [one for one in lookups([wide], 8, 0) if one.kind == "table"]


GOOD = "Mill | River\nUpper | Lenne\nFox | Bigge\nLong | Ruhr"


@pytest.mark.parametrize("context", [
    "Mill | River\nUpper | Lenne\nFox | Bigge", GOOD + "\nSalt", "Mill | Mill\n" + GOOD, "Mill | \n" + GOOD, "Prose.",
    "Mill | River\nA | A\nB | B\nC | D",
])
def test_what_is_no_table_is_left_out(tmp_path: Path, context: str) -> None:
    assert read_tables([write_jsonl(tmp_path / "a.jsonl", [row("Who?", context)])]) == []


def test_distinct_tables_are_read_with_title_and_context(tmp_path: Path) -> None:
    crlf = GOOD.replace("\n", "\r\n")
    sets = {"a": row("Who?", GOOD, title="Mills"), "b": row("Who?", crlf, title="none")}
    files = [write_jsonl(tmp_path / f"{name}.jsonl.gz", [one] * 2) for name, one in sets.items()]
    rows = (("Upper", "Lenne"), ("Fox", "Bigge"), ("Long", "Ruhr"))
    assert read_tables(files[:1]) == [Table("Mills", ("Mill", "River"), rows, GOOD)]
    assert read_tables(files[1:]) == [Table("", ("Mill", "River"), rows, crlf)]
    assert len(read_tables(files)) == 1
