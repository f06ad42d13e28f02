"""The words that several look-ups share, from words.toml, and what a value must look like for a question."""

from __future__ import annotations

import re
from pathlib import Path

from rag.word_lists import any_of, read_lists
from rag.words import stems

LISTS = read_lists(Path(__file__).with_name("words.toml"))
_QUESTION = LISTS["question"]

COMPARES = any_of(_QUESTION["compares"])
RELATES = any_of(_QUESTION["relates"])
COUNTS = any_of(_QUESTION["counts"])
ASKING = stems(_QUESTION["asking_stems"])
GENERIC = ASKING | stems(_QUESTION["page_stems"])
_VALUES = tuple((any_of(form["question"]), re.compile(form["value"])) for form in _QUESTION["values"])


def fits_question(question: str, value: str) -> bool:
    """Whether a value looks like what is asked for: a name, a date, a quantity. True where the question does not tell."""
    form = next((form for cue, form in _VALUES if cue.search(question)), None)
    return form is None or bool(form.fullmatch(value))
