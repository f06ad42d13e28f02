"""The rules of a grounded answer, on cases worked out by hand and on drawn ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.systems.constitution import CONSTITUTION, LONGEST, Answer, content, critique, revise, unsupported

TEXT = "the pool is heated to 28 degrees by a boiler . children pay nothing , and the pool is closed in may"
PASSAGE = tuple(TEXT.split())
GOOD = Answer(("28", "degrees"), PASSAGE, answerable=True, fall=9.0)


def said(text: str, **more: object) -> Answer:
    return replace(GOOD, words=tuple(text.split()), **more)


@pytest.mark.parametrize(("answer", "broken"), [
    (GOOD, ()), (said("to 28 degrees by a boiler ."), ()),
    (said("30 degrees"), ("supported", "together")),
    (said("degrees 28"), ("together",)), (said("pool pool"), ("together",)), (said("28 degrees boiler"), ("together",)),
    (said("28 degrees of boiler"), ("together",)),  # words that any text has need no support, but the span does
    (said("28 degrees", fall=0.0), ("read",)), (said("28 degrees", fall=-1.0), ("read",)),
    (said(" ".join(PASSAGE[:LONGEST])), ()), (said(" ".join(PASSAGE[: LONGEST + 1])), ("short",)),
    (said("", fall=0.0), ("abstains",)), (said("", answerable=False, fall=0.0), ()),
    (said("28 degrees", answerable=False), ("abstains",)),
    (said("30 degrees", answerable=False, fall=-2.0), ("supported", "together", "read", "abstains")),
])  # fmt: skip
def test_what_breaks_which_rule(answer: Answer, broken: tuple[str, ...]) -> None:
    assert critique(answer) == broken


@pytest.mark.parametrize(("text", "revised"), [
    ("28 degrees", "28 degrees"), ("30 28 degrees 28", "28 degrees"), ("to 28 degrees by a", "28 degrees"),
    ("heated to 30", "heated"), ("a cat", ""), ("the the", ""), ("", ""),
    ("children pay children pay nothing", "children pay nothing"),
])  # fmt: skip
def test_what_is_said_instead(text: str, revised: str) -> None:
    found = revise(said(text))
    assert " ".join(PASSAGE[found.start : found.stop]) == revised
    assert not revise(said(text, answerable=False))


WORDS = st.lists(st.sampled_from(["the", "of", ".", "a", "red", "cat", "28", "two"]), max_size=9).map(tuple)


@given(WORDS, WORDS, st.floats(0.1, 9))
def test_a_revision_keeps_what_it_must(words: tuple[str, ...], passage: tuple[str, ...], fall: float) -> None:
    answer = Answer(words, passage, answerable=True, fall=fall)
    found = revise(answer)
    better = replace(answer, words=passage[found.start : found.stop])
    assert set(critique(better)) <= ({"abstains"} if not found else set())
    again = revise(better)
    assert passage[again.start : again.stop] == better.words
    if not critique(answer):
        assert content(better.words) == content(words)  # what keeps the rules says the same


@given(WORDS, WORDS)
def test_words_that_stand_together_are_supported(words: tuple[str, ...], passage: tuple[str, ...]) -> None:
    assert not unsupported(passage[1:4], passage)
    assert set(unsupported(words, passage)) == set(content(words)) - set(passage)
    broken = critique(Answer(words, passage, bool(words), 1.0))
    assert "supported" not in broken or "together" in broken


def test_numbers_are_content_and_no_rule_has_the_name_of_another() -> None:
    assert content(["the", "three", "$", "5", "of", "first", "##ing"]) == ["three", "5", "first", "##ing"]
    assert len({rule.name for rule in CONSTITUTION}) == len(CONSTITUTION) and all(rule.says for rule in CONSTITUTION)
