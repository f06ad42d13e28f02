"""Runs: the parts of a page's lines that no wide gap parts, and where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vision.reading_order import same_row

Span = tuple[int, int]  # characters start..end
Box = tuple[float, float, float, float]
WordBox = tuple[int, int, float, float, float, float]  # characters start..end; left, top, right, bottom, 0..1 of the page

GAP = 1.6  # letters: what parts two runs
SAME_COLUMN = 0.5  # of the narrower one: how much of their widths two runs share
FIGURE = re.compile(r"\S*\d\S*(?:\s\S{1,3})?")  # and perhaps its unit


@dataclass(frozen=True, slots=True)
class Run:
    """Characters start..end, and their box."""

    start: int
    end: int
    text: str
    box: Box


def runs_of(text: str, boxes: Sequence[WordBox]) -> list[Run]:
    """boxes: of the words of `text`, in its order."""
    runs: list[Run] = []
    words: list[WordBox] = []
    for box in boxes:
        letter = (words[-1][4] - words[-1][2]) / max(1, words[-1][1] - words[-1][0]) if words else 0.0
        if words and ("\n" in text[words[-1][1] : box[0]] or box[2] - words[-1][4] > GAP * letter):
            runs.append(_run(text, words))
            words = []
        words.append(box)
    return [*runs, _run(text, words)] if words else runs


def lines_of(text: str) -> Iterator[Run]:
    """Of a text without places the lines that part a label from its value by a colon."""
    for line in re.finditer(r"[^\n:]+:[^\n]*\S", text):
        yield Run(line.start(), line.end(), line[0], (0.0, 0.0, 0.0, 0.0))


def is_figure(text: str) -> bool:
    return bool(FIGURE.fullmatch(text)) and sum(map(str.isdigit, text)) >= sum(map(str.isalpha, text))


def level(one: Run, other: Run) -> bool:
    """Whether two runs stand in one row."""
    return same_row(one.box, other.box)


def over(one: Run, other: Run) -> bool:
    """Whether two runs stand in one column, whichever is above."""
    left, right = max(one.box[0], other.box[0]), min(one.box[2], other.box[2])
    return right - left >= SAME_COLUMN * min(one.box[2] - one.box[0], other.box[2] - other.box[0])


def _run(text: str, words: Sequence[WordBox]) -> Run:
    left, top, right, bottom = zip(*(word[2:] for word in words), strict=True)
    start, end = words[0][0], words[-1][1]
    return Run(start, end, text[start:end], (min(left), min(top), max(right), max(bottom)))
