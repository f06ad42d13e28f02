"""Label look-up on a page: the total of a receipt, a field of a form, the value over a bar.

In: a question, a text and the boxes of its words. Out: the spans of a label and of its value. Words single out the
label, its place the value. Nothing where the question asks for more than a label that stands on the page. Knows no
model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.reader.coordinates import WordBox
from rag.dates import days
from rag.lookups.text_runs import (
    Span,
    TextRun,
    in_one_column,
    in_one_row,
    is_number,
    is_year,
    runs_of,
    words_of,
)
from rag.lookups.vocabulary import ASKING, COMPARES, GENERIC, LISTS
from rag.word_lists import any_of
from rag.words import stems

BELOW = 2.5  # heights of a label: how far below it a value may stand
_ASKS_NAME = any_of(LISTS["labels"]["asks_name"])
_NAME = re.compile(r"\D*[^\W\d_]{2}\D*")
_QUANTITY = re.compile(r"^\s*\d+\s*[x×*]\s*|\s*[x×*]\s*\d+\s*$|\s*\d[\d.,]*\s*%\s*$", re.IGNORECASE)
_ALIASES = tuple(
    (re.compile("|".join(alias["patterns"]), re.IGNORECASE), f" {alias['word']} ")
    for alias in LISTS["labels"]["aliases"]
)
# A label and its value in one run: a colon separates them, or the value is a number.
_LABEL_AND_VALUE = re.compile(
    r"^(?P<label>.*?[^\W\d_].*?)(?:\s*:\s*|\s+(?=[-+€$£¥]?\d[\d.,:/%-]*$))(?P<value>\S.*)$"
)


@dataclass(frozen=True, slots=True)
class _Field:
    """A label and where its value stands. below: the label is under its value, as the name of a bar is."""

    label: str
    below: bool
    value: Span


def asked_value(question: str, text: str, boxes: Sequence[WordBox]) -> tuple[Span, Span] | None:
    """A label and its value in `text`; None where the question does not single them out."""
    words = stems(_normalised(question)) - ASKING
    if not words or COMPARES.search(question):
        return None
    if words - GENERIC - stems(_normalised(text)) - stems(text):
        return None
    runs = runs_of(text, boxes)
    found: dict[tuple[int, bool], dict[Span, Span]] = defaultdict(dict)  # by how good they are, labels by values
    for run in [*runs, *_names_of_bars(runs, text, boxes)]:
        for field in _fields(run, runs):
            named, value = _label_stems(field.label), text[slice(*field.value)]
            is_asked = named - GENERIC and named <= words
            if is_asked and not value.endswith(":") and (_NAME.fullmatch(value) or not _ASKS_NAME.search(question)):
                found[len(named), field.below][field.value] = (run.start, run.start + len(field.label))
    best = found[max(found)] if found else {}
    return next(((label, value) for value, label in best.items()), None) if len(best) == 1 else None


def _label_stems(label: str) -> frozenset[str]:
    """The stems of a label, without the number of things."""
    named = stems(_normalised(_QUANTITY.sub("", label))) - ASKING
    return frozenset(word for word in named if not word.isdigit() or is_year(word))


def _normalised(text: str) -> str:
    """The text with one word for what bills call in several ways."""
    for pattern, word in _ALIASES:
        text = pattern.sub(word, text)
    return text


def _fields(run: TextRun, runs: Sequence[TextRun]) -> Iterator[_Field]:
    """At most one: the value is within the run, else the run right of it.

    Else the number above, or the run below a label that ends with a colon.
    """
    if days(run.text):
        return
    if (parts := _LABEL_AND_VALUE.match(run.text)) and not _QUANTITY.search(run.text):
        start, end = parts.span("value")
        yield _Field(parts["label"], False, (run.start + start, run.start + end))
        return
    colon, label = run.text.endswith(":"), run.text.rstrip(": ")
    _, top, right, bottom = run.box
    height = bottom - top
    others = [one for one in runs if one is not run]
    beside = [one for one in others if one.box[0] >= right and in_one_row(one, run)]
    if beside:
        nearest = min(beside, key=lambda one: one.box[0])
        years = is_year(label) and is_year(nearest.text)  # a row of years under bars
        if colon or ((is_number(nearest.text) or days(nearest.text)) and not years):
            if colon or len(beside) == 1:  # else it is any of several
                yield _Field(label, False, nearest.span)
            return
    column = [one for one in others if in_one_column(one, run)]
    above = [one for one in column if one.box[3] <= top and is_number(one.text)]
    above = [one for one in above if not _has_label_above(one, runs)]
    below = [one for one in column if 0 <= one.box[1] - bottom <= BELOW * height]
    if colon and below:
        yield _Field(label, False, min(below, key=lambda one: one.box[1]).span)
    elif above:
        yield _Field(label, True, max(above, key=lambda one: one.box[3]).span)


def _has_label_above(value: TextRun, runs: Sequence[TextRun]) -> bool:
    """Whether words stand right over a number, from where it begins: it is their value, as on a form."""
    left, top, right, bottom = value.box
    letter, reach = (right - left) / len(value.text), BELOW * (bottom - top)
    over = [one for one in runs if abs(one.box[0] - left) <= letter and 0 <= top - one.box[3] <= reach]
    return any(not is_number(one.text) for one in over)


def _names_of_bars(runs: Sequence[TextRun], text: str, boxes: Sequence[WordBox]) -> list[TextRun]:
    """The words of runs that each stand under a number of their own.

    The names of bars may be so close to each other that they look like one run.
    """
    numbers, found = [one for one in runs if is_number(one.text)], []
    for run in (run for run in runs if " " in run.text):
        words = words_of(text, [box for box in boxes if run.start <= box[0] < run.end])
        over = [{one for one in numbers if one.box[3] <= run.box[1] and in_one_column(one, word)} for word in words]
        if len(words) > 1 and all(over) and len(frozenset().union(*over)) == sum(map(len, over)):
            found += words
    return found
