"""What stands beside a label, over a bar, in a form: of pages drawn by script, and of places made up."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.pages import drawn
from indexing.boxes import words_within
from indexing.build.run import build
from rag.lookups.decide import SURE
from rag.lookups.labels import WordBox, asked_value
from rag.pipeline import RagPipeline
from rag.training.make_pages import alike, document
from vision.training.rendered.sheet import Sheet


def placed(*lines: tuple[str, float, float]) -> tuple[str, list[WordBox]]:
    """Lines (text, left, top) of letters 0.01 wide and 0.02 high: the text, and its words' boxes."""
    text, boxes = "", []
    for line, left, top in lines:
        at = len(text)
        for word in line.split():
            start = line.index(word, boxes[-1][1] - at if boxes and boxes[-1][0] >= at else 0)
            boxes.append((at + start, at + start + len(word), left + 0.01 * start, top, left + 0.01 * (start + len(word)), top + 0.02))
        text += line + "\n"
    return text, boxes


BILL = placed(
    ("Pask's Ropes", 0.2, 0.1), ("3 May 2021", 0.2, 0.15), ("2 x Hemp rope", 0.1, 0.2), ("31.00", 0.7, 0.2), ("Lamp oil", 0.1, 0.25), ("4.20", 0.7, 0.25),
    ("Sub-total", 0.1, 0.3), ("35.20", 0.7, 0.3), ("VAT 20%", 0.1, 0.35), ("7.04", 0.7, 0.35), ("Amount due: 42.24", 0.1, 0.4), ("Served by:", 0.1, 0.5), ("Ida Holm", 0.1, 0.53),
)  # fmt: skip
CHART = placed(
    ("Harvest of the parish", 0.3, 0.05), ("Tonnes", 0.02, 0.1), ("412", 0.2, 0.3), ("97", 0.4, 0.6), ("250", 0.6, 0.45), ("Rye", 0.2, 0.9), ("Oats", 0.395, 0.9), ("Beans", 0.59, 0.9), ("Crop", 0.4, 0.95),
)  # fmt: skip


def said(page: tuple[str, list[WordBox]], question: str) -> str | None:
    found = asked_value(question, *page)
    return found and page[0][slice(*found[1])]


@pytest.mark.parametrize(("question", "value"), [
    ("What is the total on the receipt of 3 May 2021?", "42.24"), ("What is the total of the receipt of 4 May 2021?", None), ("How much was the hemp rope?", "31.00"),
    ("What was the subtotal?", "35.20"), ("How much VAT was paid at Pask's Ropes?", "7.04"), ("Who was it served by?", "Ida Holm"), ("Where was the lamp oil bought?", None),
    ("How much was the candle?", None), ("Was the rope or the oil cheaper?", None), ("What is the highest total?", None), ("", None),
    ("What did it come to?", "42.24"), ("How much is due?", "42.24"), ("How much did the candle come to?", None),
])  # fmt: skip
def test_a_bill(question: str, value: str | None) -> None:
    assert said(BILL, question) == value


@pytest.mark.parametrize(("question", "value"), [
    ("How many tonnes of oats?", "97"), ("What is the value of beans in the chart?", "250"), ("How high is the bar of rye?", "412"), ("tonnes of wheat", None),
])  # fmt: skip
def test_a_value_stands_over_its_bar(question: str, value: str | None) -> None:
    assert said(CHART, question) == value


def test_names_of_bars_may_stand_so_close_that_they_look_like_one_line() -> None:
    page = placed(("543", 0.1, 0.3), ("259", 0.17, 0.5), ("12", 0.24, 0.6), ("Maize Barley Rye", 0.09, 0.9))
    assert [said(page, f"What is shown for {name}?") for name in ("Maize", "Barley", "Rye", "Oats")] == ["543", "259", "12", None]
    assert said(placed(("543", 0.1, 0.3), ("New York", 0.09, 0.9)), "What is shown for York?") is None


def test_a_figure_under_its_own_label_is_not_the_value_of_what_is_below() -> None:
    form = placed(("Width", 0.1, 0.1), ("66", 0.1, 0.13), ("Valid until", 0.1, 0.18), ("June 2020", 0.1, 0.21))
    assert said(form, "What is the valid until?") is None


def test_a_title_close_over_a_bar_is_not_its_label() -> None:
    page = placed(("Visitors to the tide mill by year", 0.1, 0.05), ("8,842", 0.3, 0.1), ("2022", 0.305, 0.9), ("2023", 0.5, 0.9))
    assert said(page, "How many visitors came to the mill in 2022?") == "8,842"


def test_years_under_bars_are_labels_of_what_is_over_them() -> None:
    page = placed(("Visitors to the mill", 0.3, 0.05), ("8,842", 0.2, 0.3), ("4,905", 0.4, 0.6), ("6,214", 0.6, 0.45), ("2021", 0.2, 0.9), ("2022", 0.4, 0.9), ("2023", 0.6, 0.9))
    assert said(page, "How many visitors came to the mill in 2022?") == "4,905"
    assert said(page, "How many visitors came to the mill in 2024?") is None


def test_labels_of_pages_drawn_by_script_are_right_and_silent_where_the_value_is_gone() -> None:
    right = wrong = invented = 0
    for kind in ("receipt", "form", "chart"):
        for number in range(8):
            rng = random.Random(number)
            page = drawn(kind, 5_000_000 + number)
            for fact in page.facts:
                question = rng.choice(fact.questions or (f"What is the {fact.asked.lower()}?",))
                for sheet in (page.sheet, page.sheet.without(*fact.own)):
                    read = document(page, sheet, rng)
                    words = read.pages[0].words
                    found = asked_value(question, read.text, words_within(words, 0, len(read.text)) if words else ())
                    if found and sheet is page.sheet:
                        same = alike(read.text[slice(*found[1])]) == alike(page.sheet.runs[fact.value].text)
                        right, wrong = right + same, wrong + (not same)
                    elif found:
                        invented += 1
    assert right > 60 and wrong <= 0.05 * right and invented <= 1


@pytest.mark.parametrize(("question", "value"), [("Who is the owner of the pump?", "Ida Holm"), ("What is the serial number?", "77-B"), ("When was the pump bought?", None), ("What is the colour?", None)])
def test_without_places_a_colon_parts_label_and_value(question: str, value: str | None) -> None:
    text = "Pump 4\nOwner: Ida Holm\nSerial number: 77-B\nMade in 1990\nColour:"
    found = asked_value(question, text, ())
    assert (found and text[slice(*found[1])]) == value


@given(st.text(max_size=60), st.lists(st.tuples(st.text(st.characters(blacklist_characters="\n"), min_size=1, max_size=12), st.floats(0, 0.9), st.floats(0, 0.9)), max_size=8))
def test_what_is_said_stands_on_the_page(question: str, lines: list[tuple[str, float, float]]) -> None:
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
    assert answer.text == "Balloon silk\n77.10" and [cited.quote for cited in answer.citations] == ["Balloon silk", "77.10"] and answer.confidence >= SURE and answer.trace["generation"]["looked_up"]
    left, top, right, bottom = answer.citations[-1].boxes[0]
    assert 0.65 < left < right < 1 and 0.3 < top < bottom < 0.5
    assert [cited.quote for cited in rag.ask("How many visitors were there in 2022?").citations] == ["2022 | 9120 | 14", "9120"]
    assert not rag.ask("How much was the balloon rope?").trace["generation"].get("looked_up")
