"""Synthetic pages: every word has its box, in the order and at the places where OCR finds it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.ocr import read_lines
from vision.training.rendered import values
from vision.training.rendered.charts import chart
from vision.training.rendered.fact import Rendered
from vision.training.rendered.forms import form
from vision.training.rendered.grids import grid
from vision.training.rendered.receipts import receipt
from vision.training.rendered.sheet import FACES, Sheet

GOODS = ["Oatmeal", "Brown bread", "Lamp oil", "Hemp rope", "Nails", "Soap", "Blue ink", "Candles"]
FIELDS = [("Mill", "Thrale"), ("Wheels", "2"), ("Built", "1786")]
POINTS = [("1786", "12.5"), ("1787", "1,430"), ("1788", "0")]
TIDES = (("Monday", "4.1", "0.3"), ("Tuesday", "4.4", ""))
DRAWN: dict[str, Callable[[random.Random], Rendered]] = {
    "receipt": lambda rng: receipt(GOODS, rng),
    "form": lambda rng: form((), "", rng),
    "filled form": lambda rng: form(FIELDS, "Mills of the coast", rng),
    "chart": lambda rng: chart("Flour by year", "Tonnes", "Year", POINTS, rng),
    "grid": lambda rng: grid("Tides", ("Day", "High", "Low"), TIDES, 0, rng),
}
KINDS = tuple(DRAWN)


def drawn(kind: str, seed: int) -> Rendered:
    return DRAWN[kind](random.Random(seed))


@given(st.sampled_from(KINDS), st.integers(0, 10_000))
def test_words_are_those_that_were_written_and_lie_on_the_page(kind: str, seed: int) -> None:
    page = drawn(kind, seed)
    sheet = page.sheet
    read = [word for line in sheet.lines() for word in line]
    written = [word for run in sheet.runs.values() for word in run.text.split()]
    assert sorted(text for text, _, _ in read) == sorted(written)
    assert all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for _, (x0, y0, x1, y1), _ in read)
    for fact in page.facts:
        assert fact.value in fact.own and fact.value in sheet.runs and (fact.questions or fact.keys or fact.asked)
        assert "{" not in "".join(fact.questions)


@given(st.sampled_from(KINDS), st.integers(0, 10_000))
def test_no_run_overlaps_another(kind: str, seed: int) -> None:
    sheet = drawn(kind, seed).sheet
    boxes = [sheet.box(number) for number in sheet.runs]
    for at, (x0, y0, x1, y1) in enumerate(boxes):
        assert not any(x0 < b[2] and b[0] < x1 and y0 < b[1] + 0.5 * (b[3] - b[1]) < y1 for b in boxes[:at])


@given(st.integers(0, 10_000))
def test_what_is_taken_from_a_page_is_gone_and_nothing_else(seed: int) -> None:
    page = drawn("receipt", seed)
    fact = page.facts[0]
    poor = page.sheet.without(*fact.own)
    assert set(page.sheet.runs) - set(poor.runs) == set(fact.own)
    assert all(poor.box(number) == page.sheet.box(number) for number in poor.runs)


def test_the_same_seed_makes_the_same_page() -> None:
    pages = [drawn("receipt", 3) for _ in range(2)]
    assert pages[0].sheet.runs == pages[1].sheet.runs and pages[0].facts == pages[1].facts


@pytest.mark.parametrize("face", FACES)
def test_ocr_finds_the_words_where_the_sheet_has_them(face: str) -> None:
    sheet = Sheet(600, 300, face)
    title = sheet.write("Harbour Bakery", 300, 30, 30, bold=True, align="middle")
    runs = [title, sheet.write("TOTAL", 40, 140, 24), sheet.write("126.05", 560, 140, 24, align="right")]
    read = {text: box for line in read_lines(sheet.picture()) for text, box, _ in line}
    for number in runs:
        for text, (x0, y0, x1, y1), _ in sheet.words(number):
            left, top, right, bottom = read[text]
            true = x0 / 600, y0 / 300, x1 / 600, y1 / 300
            shared = max(0, min(right, true[2]) - max(left, true[0])) * max(0, min(bottom, true[3]) - max(top, true[1]))
            area = (right - left) * (bottom - top) + (true[2] - true[0]) * (true[3] - true[1]) - shared
            assert shared / area > 0.4, (text, read[text], true)


def test_values_are_of_many_forms() -> None:
    rng = random.Random(0)
    assert len({values.date(rng) for _ in range(300)}) > 250 and values.money(1234.5, "£") == "£1,234.50"
