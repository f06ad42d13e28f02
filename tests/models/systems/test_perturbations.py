"""Questions in other words: what must not change does not, and answers stay the spans that they were."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.systems.perturbations import FAIRNESS, ROBUSTNESS, edit, perturbed
from models.systems.word_lists import CONTRACTED, DIALECT, FEMALE, NAMES
from models.training.question_sets import QaRow, Span

CONTEXT = (
    "The king, Roger II, gave his son Andrew 1,154 ducats; he is not in the list of 1786. "
    "His brother paid nothing to Nancy."
)
ROW = QaRow(
    "7", "squad2_dev", "How many ducats did the king give to his son in 1786?", CONTEXT, "Roger",
    (Span("1,154 ducats", 40), Span("his son Andrew", 25)), False, "extractive",
)
SPECIAL = [
    *FEMALE, *DIALECT, *CONTRACTED, *CONTRACTED.values(), *NAMES["male"][0], "Roger", "HE", "How many", "who", "1,154",
    "ſon", "théthe", "İ", "12th", "Kelvin", ",", ".", "?", "\n",
]
TEXTS = st.lists(st.one_of(st.sampled_from(SPECIAL), st.text(max_size=6)), max_size=14).map(" ".join)


@st.composite
def rows(draw: st.DrawFn) -> QaRow:
    context = draw(TEXTS)
    cuts = draw(st.lists(st.tuples(st.integers(0, len(context)), st.integers(0, len(context))), max_size=3))
    spans = tuple(Span(context[min(cut) : max(cut)], min(cut)) for cut in cuts if cut[0] != cut[1])
    boxes = tuple((span.start, span.start + len(span.text), 0.0, 0.0, 1.0, 1.0) for span in spans)
    return QaRow(
        "id", "", draw(TEXTS), context, draw(TEXTS), (*spans, Span(draw(TEXTS), -1)), False, "extractive", boxes
    )


def digits(text: str) -> str:
    return re.sub(r"\D", "", text)


@pytest.mark.parametrize("name", [*ROBUSTNESS, *FAIRNESS])
@given(rows(), st.integers(0, 9))
@settings(max_examples=60)
def test_answers_stay_spans_and_numbers_stay(name: str, row: QaRow, seed: int) -> None:
    made = perturbed(row, name, seed)
    assert made == perturbed(row, name, seed)
    assert digits(made.question) == digits(row.question) and digits(made.context) == digits(row.context)
    assert len(made.answers) == len(row.answers) and len(made.boxes) == len(row.boxes)
    for old, new in zip(row.answers, made.answers, strict=True):
        assert (new.start >= 0) == (old.start >= 0)
        assert new.start < 0 or (made.context.startswith(new.text, new.start) and bool(new.text))
        assert digits(new.text) == digits(old.text)
    assert [(box[0], box[1]) for box in made.boxes] == [
        (one.start, one.start + len(one.text)) for one in made.answers if one.start >= 0
    ]
    if name in ROBUSTNESS:
        assert replace(made, question="") == replace(row, question="")


@given(TEXTS)
def test_what_is_edited_keeps_its_places(text: str) -> None:
    text = re.sub("[<>]", "", text)
    made = edit(text, re.compile("[a-e]+"), lambda found: f"<{found}>")
    assert re.sub("[<>]", "", made.text) == text
    for at in range(len(text)):
        start, end = made.span(at, at + 1)
        assert text[at] in made.text[start:end]


@pytest.mark.parametrize("seed", range(5))
def test_by_hand(seed: int) -> None:
    female = perturbed(ROW, "gender", seed)
    assert female.context == CONTEXT.replace("king", "queen").replace("his son", "her daughter").replace(
        "he is", "she is"
    ).replace("His brother", "Her sister")
    assert female.question == "How many ducats did the queen give to her daughter in 1786?"
    assert [answer.text for answer in female.answers] == ["1,154 ducats", "her daughter Andrew"]
    spoken = perturbed(ROW, "dialect", seed)
    assert (
        "he ain't in da list" in spoken.context
        and spoken.context.startswith("Da king")
        and "brotha paid nuttin" in spoken.context
    )
    named = perturbed(ROW, "names", seed)
    # one and the same
    [name] = {found[1] for text in (named.title + " II", named.context) for found in re.finditer(r"(\w+) II", text)}
    assert name.lower() in NAMES["male"][1] and "Nancy" not in named.context and "Roger" not in named.context
    assert perturbed(ROW, "paraphrase", seed).question == "What number of ducats did the king give to his son in 1786?"


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("Who built it?", "Which person built it?"), ("In which year?", "In what year?"), ("WHO?", "WHICH PERSON?"),
        ("What did he say when he left?", "Please tell me, What did he say when he left?"),
        ("What is the name of the river?", "What do they call the river?"), ("", "please tell me, "),
    ],
)  # fmt: skip
def test_paraphrases(question: str, other: str) -> None:
    assert perturbed(replace(ROW, question=question), "paraphrase").question == other


@pytest.mark.parametrize(("question", "other"), [
    ("What's it?", "What is it?"), ("Why did he not? Who is that?", "Why did he not? Who's that?"),
    ("He isn't who is it", "He is not who is it"),
])
def test_contractions_go_one_way(question: str, other: str) -> None:
    assert perturbed(replace(ROW, question=question), "contraction").question == other


def test_typing_errors_are_about_as_many_as_said() -> None:
    long = replace(ROW, question="abcdefghij " * 400 + "abc1786xyz " * 400)
    made = perturbed(long, "typos").question
    wrong = sum(old != new for old, new in zip(long.question, made, strict=True))
    assert 130 < wrong < 270 and made.endswith("abc1786xyz " * 400)
    assert perturbed(long, "typos", 1).question != made


def test_accents_and_long_letters_are_no_word_ends() -> None:
    text = replace(ROW, context="théthe ſon he-man aman", answers=())
    assert perturbed(text, "gender").context == perturbed(text, "dialect").context == text.context
