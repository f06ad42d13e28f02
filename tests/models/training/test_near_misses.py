"""Near misses: one thing of the passage is changed into something that is not in the passage."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from models.training.near_misses import changeable, names, near_miss
from models.training.question_sets import QaRow, Span
from models.training.table_contexts import has_words

CONTEXT = "Josiah Pask built the south gate in 1786 for 40 pounds. It was opened on 3 May by Anne Bell."
ROW = QaRow(
    "1", "squad2_dev", "Who paid Josiah Pask 40 pounds in May 1786?", CONTEXT, "Mill", (Span("Anne Bell", 82),), False,
    "extractive",
)
POOL = ["Tom Reed", "Anne Bell", "Crane", "Harwich"]  # one of them stands in the passage


def test_what_can_be_changed() -> None:
    assert changeable(ROW.question) == ["Josiah Pask", "40", "May", "1786"]
    assert changeable("Where is it?") == [] == changeable("Josiah Pask built what?")[1:]
    assert names([ROW, replace(ROW, question="Did he meet Tom Reed of Harwich in Ely?")]) == [
        "Josiah Pask",
        "Tom Reed of Harwich",
        "Ely",
    ]


@pytest.mark.parametrize("seed", range(40))
def test_one_thing_of_the_passage_becomes_another_that_is_not_there(seed: int) -> None:
    made = near_miss(ROW, POOL, random.Random(seed))
    assert made is not None and made.unanswerable and made.answers == () and made.context == CONTEXT
    gone = [text for text in changeable(ROW.question) if not has_words(made.question, text)]
    assert len(gone) == 1
    before, _, after = ROW.question.partition(gone[0])
    assert made.question.startswith(before) and made.question.endswith(after)
    assert not has_words(CONTEXT, made.question[len(before) : len(made.question) - len(after)])


def test_where_there_is_nothing_to_change() -> None:
    rng = random.Random(0)
    assert near_miss(replace(ROW, unanswerable=True), POOL, rng) is None
    assert near_miss(replace(ROW, question="Who paid for it?"), POOL, rng) is None
    assert near_miss(replace(ROW, question="Who paid Tom Reed?"), POOL, rng) is None  # is not in the passage as it is
    assert near_miss(replace(ROW, question="Who paid Josiah Pask?"), [], rng) is None
