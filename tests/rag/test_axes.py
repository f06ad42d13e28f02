"""Axis look-up: on made-up boxes, and on charts drawn by script."""

from __future__ import annotations

import random

import pytest
from samples_pages import CHART, Page, as_read, placed

from rag.lookups.axes import asked_axis
from rag.training.make_pages import alike
from vision.training.rendered.unseen import unseen


def said(page: Page, question: str) -> str | None:
    found = asked_axis(question, *page)
    return found and page[0][slice(*found)]


@pytest.mark.parametrize(("question", "value"), [
    ("What does the y axis of this chart say?", "Tonnes"),
    ("What is on the vertical axis?", "Tonnes"),
    ("horizontal axis label", "Crop"),
    ("What is measured on the x-axis of the harvest chart?", "Crop"),
    ("What does the y axis of the rainfall chart say?", None),
    ("How many tonnes of oats?", None),
    ("What is the highest value on the y axis?", None),
    ("What is the value of rye on the y axis?", None),
    ("How high does the y axis go?", None),
    ("What is on the x axis and the y axis?", None),
    ("What is the title of the chart?", "Harvest of the parish"),
    ("What is the title of the book?", None),
])  # fmt: skip
def test_a_chart(question: str, value: str | None) -> None:
    assert said(CHART, question) == value


def test_years_are_categories_and_numbers_below_are_no_title() -> None:
    bars = (("8,842", 0.3, 0.3), ("4,905", 0.5, 0.6), ("2021", 0.3, 0.9), ("2022", 0.5, 0.9))
    assert said(placed(("Visitors", 0.1, 0.1), *bars, ("Year", 0.4, 0.93)), "What is on the x axis?") == "Year"
    assert said(placed(("Visitors", 0.1, 0.1), *bars), "What is on the x axis?") is None


def test_a_title_that_is_written_upwards_comes_before_one_over_the_chart() -> None:
    bars = (("412", 0.3, 0.3), ("97", 0.5, 0.6), ("Rye", 0.3, 0.9), ("Oats", 0.5, 0.9))
    text, boxes = placed(("Report", 0.02, 0.05), *bars)
    upwards = "Tonnes"
    page = text + upwards, [*boxes, (len(text), len(text) + len(upwards), 0.02, 0.4, 0.05, 0.6)]
    assert said(page, "What does the y axis show?") == "Tonnes"


def test_notes_are_no_titles_of_an_axis() -> None:
    bars = (("Harvest", 0.3, 0.05), ("412", 0.3, 0.3), ("97", 0.5, 0.6), ("Rye", 0.3, 0.8), ("Oats", 0.5, 0.8))
    assert said(placed(*bars, ("Source: parish books", 0.3, 0.83)), "What is on the x axis?") is None
    assert said(placed(*bars, ("Fiscal year", 0.35, 0.83)), "What is on the x axis?") == "Fiscal year"
    lone = placed(("Harvest", 0.05, 0.05), *bars[1:])
    assert said(lone, "What does the y axis show?") is None  # it is the chart's title


def test_prose_has_no_axes() -> None:
    prose = placed(
        ("The x axis of the mill was mended", 0.1, 0.1), ("in 1931 and again in 1952", 0.1, 0.14),
        ("by the men of Pask", 0.1, 0.18),
    )  # fmt: skip
    assert said(prose, "What does the x axis show?") is None


def test_charts_drawn_by_script() -> None:
    right = wrong = 0
    for number in range(12):
        rng = random.Random(number)
        page = unseen("chart", 6_000_000 + number)
        for fact in (fact for fact in page.facts if "axis" in fact.asked or fact.asked == "title"):
            for sheet in (page.sheet, page.sheet.without(*fact.own)):
                found = said(as_read(page, sheet, rng), rng.choice(fact.questions))
                if found:
                    same = alike(found) == alike(page.sheet.runs[fact.value].text)
                    right, wrong = right + same, wrong + (not same)
    assert right >= 12 and not wrong
