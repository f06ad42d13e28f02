"""Content words and their stems: what two texts are compared by.

In: a text. Out: its distinct words without stop words, lower case (`content_words`), or their stems (`stems`).
Words are compared for equality, without frequencies, so that every match can be explained.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from rag.dates import days
from rag.word_lists import read_lists

WORD_LISTS = read_lists(Path(__file__).with_name("words.toml"))
STOP_WORDS = frozenset(WORD_LISTS["stop_words"].split())

# Scripts without spaces between words (Han, kana, Thai, Hangul syllables) count by the character.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[0-9]+(?:[.,][0-9]+)*|[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W\d_])+|\d")
_THOUSANDS = re.compile(r",(?=[0-9]{3}(?![0-9]))")


def content_words(text: str) -> frozenset[str]:
    """The distinct words that carry meaning, not stemmed; numbers without thousands separators."""
    folded = _THOUSANDS.sub("", text.casefold().replace("’", "'"))
    folded = folded.replace("cannot", "can not").replace("can't", "can not").replace("won't", "will not")
    folded = folded.replace("n't", " not")
    return frozenset(_WORD.findall(folded)) - STOP_WORDS


def stems(text: str) -> frozenset[str]:
    """The stems of a text's content words, and the calendar days that it names, in ISO format."""
    return frozenset(map(stem, content_words(text))) | {day.isoformat() for day in days(text)}


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The stem that English inflections of a word share (Porter 2, https://snowballstem.org)."""
    return _stemmer().stemWord(word)


@lru_cache(maxsize=1)
def _stemmer():
    import snowballstemmer

    return snowballstemmer.stemmer("english")
