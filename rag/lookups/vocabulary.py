"""The words that several look-ups share, from words.toml."""

from __future__ import annotations

from pathlib import Path

from rag.word_lists import any_of, read_lists
from rag.words import stems

LISTS = read_lists(Path(__file__).with_name("words.toml"))
_QUESTION = LISTS["question"]

COMPARES = any_of(_QUESTION["compares"])
ASKING = stems(_QUESTION["asking_stems"])
GENERIC = ASKING | stems(_QUESTION["page_stems"])
