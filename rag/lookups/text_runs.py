"""Text runs: the parts of a page's lines that no wide gap separates, with their boxes.

In: a text and the boxes of its words. Out: runs, and whether two of them share a row or a column. Knows no language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexing.types import Box
from models.reader.coordinates import WordBox
from vision.reading_order import same_row

Span = tuple[int, int]  # characters start..end

GAP = 1.6  # widths of a letter: a wider gap separates two runs
SAME_COLUMN = 0.5  # of the narrower run: how much of their widths two runs of one column share
_NUMBER = re.compile(r"\S*\d\S*(?:\s\S{1,3})?")  # and perhaps its unit
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class TextRun:
    """Characters start..end of a text, and their box in units of the page, 0..1."""

    start: int
    end: int
    text: str
    box: Box

    @property
    def span(self) -> Span:
        return self.start, self.end

    @property
    def middle(self) -> float:
        """Of its width."""
        return (self.box[0] + self.box[2]) / 2


def runs_of(text: str, boxes: Sequence[WordBox]) -> list[TextRun]:
    """The runs of a text, in its order. boxes: of its words, in the same order."""
    runs: list[TextRun] = []
    words: list[WordBox] = []
    for box in boxes:
        if words and _is_gap(text, words[-1], box):
            runs.append(_run(text, words))
            words = []
        words.append(box)
    return [*runs, _run(text, words)] if words else runs


def words_of(text: str, boxes: Sequence[WordBox]) -> list[TextRun]:
    """Each word as a run of its own."""
    return [_run(text, [box]) for box in boxes]


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and sum(map(str.isdigit, text)) >= sum(map(str.isalpha, text))


def is_year(text: str) -> bool:
    """Whether it is nothing but a year from 1900 to 2099."""
    return bool(_YEAR.fullmatch(text))


def in_one_row(one: TextRun, other: TextRun) -> bool:
    return same_row(one.box, other.box)


def in_one_column(one: TextRun, other: TextRun) -> bool:
    """Whether two runs stand over each other, whichever is above."""
    left, right = max(one.box[0], other.box[0]), min(one.box[2], other.box[2])
    return right - left >= SAME_COLUMN * min(one.box[2] - one.box[0], other.box[2] - other.box[0])


def _is_gap(text: str, before: WordBox, after: WordBox) -> bool:
    letter = (before[4] - before[2]) / max(1, before[1] - before[0])
    return "\n" in text[before[1] : after[0]] or after[2] - before[4] > GAP * letter


def _run(text: str, words: Sequence[WordBox]) -> TextRun:
    left, top, right, bottom = zip(*(word[2:] for word in words), strict=True)
    start, end = words[0][0], words[-1][1]
    return TextRun(start, end, text[start:end], (min(left), min(top), max(right), max(bottom)))
