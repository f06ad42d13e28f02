"""Label look-up: on made-up boxes, and on pages drawn by script."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_pages import BILL, CHART, Page, as_read, placed

from indexing.build.run import build
from rag.lookups.decide import CONFIDENCE
from rag.lookups.labels import asked_value
from rag.pipeline import RagPipeline
from rag.training.make_pages import alike
from vision.training.rendered.sheet import Sheet
from vision.training.rendered.unseen import KINDS, unseen


def said(page: Page, question: str) -> str | None:
    found = asked_value(question, *page)
    return found and page[0][slice(*found[1])]


@pytest.mark.parametrize(("question", "value"), [
    ("What is the total on the receipt of 3 May 2021?", "42.24"),
    ("What is the total of the receipt of 4 May 2021?", None),
    ("How much was the hemp rope?", "31.00"),
    ("What was the subtotal?", "35.20"),
    ("How much VAT was paid at Pask's Ropes?", "7.04"),
    ("Who was it served by?", "Ida Holm"),
    ("Where was the lamp oil bought?", None),
    ("How much was the candle?", None),
    ("Was the rope or the oil cheaper?", None),
    ("What is the highest total?", None),
    ("", None),
    ("What did it come to?", "42.24"),
    ("How much is due?", "42.24"),
    ("How much did the candle come to?", None),
])  # fmt: skip
def test_a_bill(question: str, value: str | None) -> None:
    assert said(BILL, question) == value


@pytest.mark.parametrize(("question", "value"), [
    ("How many tonnes of oats?", "97"),
    ("What is the value of beans in the chart?", "250"),
    ("How high is the bar of rye?", "412"),
    ("tonnes of wheat", None),
])  # fmt: skip
def test_a_value_stands_over_its_bar(question: str, value: str | None) -> None:
    assert said(CHART, question) == value


def test_names_of_bars_may_stand_so_close_that_they_look_like_one_line() -> None:
    page = placed(("543", 0.1, 0.3), ("259", 0.17, 0.5), ("12", 0.24, 0.6), ("Maize Barley Rye", 0.09, 0.9))
    names = ("Maize", "Barley", "Rye", "Oats")
    assert [said(page, f"What is shown for {name}?") for name in names] == ["543", "259", "12", None]
    assert said(placed(("543", 0.1, 0.3), ("New York", 0.09, 0.9)), "What is shown for York?") is None


def test_a_number_under_its_own_label_is_not_the_value_of_what_is_below() -> None:
    form = placed(("Width", 0.1, 0.1), ("66", 0.1, 0.13), ("Valid until", 0.1, 0.18), ("June 2020", 0.1, 0.21))
    assert said(form, "What is the valid until?") is None


def test_a_title_close_over_a_bar_is_not_its_label() -> None:
    years = (("2022", 0.305, 0.9), ("2023", 0.5, 0.9))
    page = placed(("Visitors to the tide mill by year", 0.1, 0.05), ("8,842", 0.3, 0.1), *years)
    assert said(page, "How many visitors came to the mill in 2022?") == "8,842"


def test_years_under_bars_are_labels_of_what_is_over_them() -> None:
    page = placed(
        ("Visitors to the mill", 0.3, 0.05), ("8,842", 0.2, 0.3), ("4,905", 0.4, 0.6), ("6,214", 0.6, 0.45),
        ("2021", 0.2, 0.9), ("2022", 0.4, 0.9), ("2023", 0.6, 0.9),
    )  # fmt: skip
    assert said(page, "How many visitors came to the mill in 2022?") == "4,905"
    assert said(page, "How many visitors came to the mill in 2024?") is None


def test_labels_of_pages_drawn_by_script_are_right_and_silent_where_the_value_is_gone() -> None:
    right = wrong = invented = 0
    for kind in KINDS:
        for number in range(8):
            rng = random.Random(number)
            page = unseen(kind, 5_000_000 + number)
            for fact in page.facts:
                question = rng.choice(fact.questions or (f"What is the {fact.asked.lower()}?",))
                for sheet in (page.sheet, page.sheet.without(*fact.own)):
                    found = said(as_read(page, sheet, rng), question)
                    if found and sheet is page.sheet:
                        same = alike(found) == alike(page.sheet.runs[fact.value].text)
                        right, wrong = right + same, wrong + (not same)
                    elif found:
                        invented += 1
    assert right > 60 and wrong <= 0.05 * right and invented <= 1


LINES = st.tuples(
    st.text(st.characters(blacklist_characters="\n"), min_size=1, max_size=12), st.floats(0, 0.9), st.floats(0, 0.9)
)


@given(st.text(max_size=60), st.lists(LINES, max_size=8))
def test_label_and_value_are_spans_of_the_page(question: str, lines: list[tuple[str, float, float]]) -> None:
    page = placed(*((line.replace("\r", " "), left, top) for line, left, top in lines))
    found = asked_value(question, *page)
    assert found is None or all(0 <= start < end <= len(page[0]) for start, end in found)


def test_a_look_up_is_answered_with_its_box_whatever_the_reader_thinks(tmp_path: Path) -> None:
    sheet = Sheet(600, 400)
    for at, (label, value) in enumerate((("Zeppelin hire", "812.50"), ("Balloon silk", "77.10"))):
        sheet.write(label, 40, 60 + 80 * at, 30)
        sheet.write(value, 420, 60 + 80 * at, 30)
    sheet.picture().save(tmp_path / "bill.png")
    (tmp_path / "mill.csv").write_text("Year,Visitors,Flour\n2021,8000,11\n2022,9120,14\n")
    build([tmp_path], tmp_path / "index")
    rag = RagPipeline.from_index(tmp_path / "index")
    answer = rag.ask("How much was the balloon silk?")
    assert answer.text == "The balloon silk was 77.10."
    assert [cited.quote for cited in answer.citations] == ["Balloon silk", "77.10"]
    assert answer.confidence >= CONFIDENCE and answer.trace["generation"]["looked_up"]
    left, top, right, bottom = answer.citations[-1].boxes[0]
    assert 0.65 < left < right < 1 and 0.3 < top < bottom < 0.5
    visitors = rag.ask("How many visitors were there in 2022?")
    assert [cited.quote for cited in visitors.citations] == ["9120", "2022 | 9120 | 14"]
    assert not rag.ask("How much was the balloon rope?").trace["generation"].get("looked_up")
