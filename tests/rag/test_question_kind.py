"""The kinds of questions: what is computed, what is said without evidence, and what stays a look-up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.question_kind import COMPUTED, Kind, kinds_of
from rag.understand import understand


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is the total weight of the crates?", Kind.SUM),
        ("How many tickets were sold from 2019 to 2023 altogether?", Kind.SUM),
        ("What was the average rainfall in Lisbon?", Kind.MEAN),
        ("Which ferry is the longest?", Kind.LARGEST),
        ("Which month had the fewest storms?", Kind.SMALLEST),
        ("Which is heavier, the anvil or the vice?", Kind.LARGEST),
        ("What is the difference between the price of the red and the blue boat?", Kind.DIFFERENCE),
        ("What was the percentage change in turnover between 2018 and 2019?", Kind.CHANGE),
        ("Summarise the annual report.", Kind.SUMMARY),
        ("How many documents do you have?", Kind.LIBRARY),
        ("hello, what can you do?", Kind.CAPABILITIES),
        ("good morning", Kind.GREETING),
        ("thanks a lot!", Kind.THANKS),
        ("Who painted the ceiling?", Kind.LOOK_UP),
        ("How wide is the south gate?", Kind.LOOK_UP),
        ("When did the bridge open?", Kind.LOOK_UP),
    ],
)
def test_kinds(question: str, kind: Kind) -> None:
    assert understand(question).kind is kind


@pytest.mark.parametrize(
    "question",
    [
        "What can you tell me about the flood of 1953?", "Who said thanks to the committee?", "hello world program",
        "What documents must a tenant bring?", "How many files does a rasp set have?", "Thank you letter of 1938",
    ],
)  # fmt: skip
def test_questions_about_documents_are_not_met_with_small_talk(question: str) -> None:
    assert understand(question).kind not in (Kind.LIBRARY, Kind.CAPABILITIES, Kind.GREETING, Kind.THANKS)


def test_thanks_are_no_follow_up() -> None:
    query = understand("thanks!", ["How wide is the south gate?"])
    assert query.kind is Kind.THANKS and query.text == "thanks!"
    assert "south gate" in understand("and how high is it?", ["How wide is the south gate?"]).text


def test_what_else_may_be_computed() -> None:
    query = understand("How many batches of barley were milled?")
    assert query.kind in COMPUTED or query.else_compute in COMPUTED
    assert understand("Who painted the ceiling?").else_compute is None


@given(st.text(max_size=300))
def test_any_text_has_kinds_whose_chances_sum_to_one(text: str) -> None:
    found = kinds_of(text)
    assert {kind for kind, _ in found} == set(Kind)
    assert abs(sum(chance for _, chance in found) - 1) < 1e-4
    assert all(before >= after for (_, before), (_, after) in pairwise(found))
