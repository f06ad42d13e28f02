"""What is written along an axis of a chart, or over it. The words of the question tell which of them, places which words these are; knows no model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.labels import GENERIC, YEAR
from rag.runs import Run, Span, WordBox, is_figure, runs_of, shared
from rag.support import stems

AXIS = re.compile(r"\b(?:(?P<across>x|horizontal|bottom)|y|vertical|left)[\s-]?axis\b", re.IGNORECASE)
TITLE = re.compile(r"\b(title|heading|headline) (of|on|over) (the|this|that) (\w+ )?(chart|diagram|graph|plot)\b|\b(chart|diagram|graph|plot) title\b", re.IGNORECASE)
ASKED = stems("axis axes bottom called diagram graph heading headline horizontal label labelled left measure measured name named plot plotted represent title unit units vertical x y")
SAME_ROW = 0.5  # of the lower one: how much of their heights two words of a row share
CLOSE = 0.3  # heights of a row: how far a box may reach into the row above, as OCR draws them
UPRIGHT = 1.5  # from so many times as high as wide on a run is written upwards


def asked_axis(question: str, text: str, boxes: Sequence[WordBox], around: str = "") -> Span | None:
    """(start, end) in `text`; None where the question asks for no axis and no title, or no run stands where that would. around: the page's name."""
    asked, title = AXIS.search(question), TITLE.search(question)
    if not (asked or title) or stems(question) - ASKED - GENERIC - stems(text) - stems(around):
        return None
    runs = runs_of(text, boxes)
    categories = _categories(runs, [one for box in boxes for one in runs_of(text, [box])])
    if not categories:
        return None
    found = _over(categories, runs) if asked is None else _below(categories, runs) if asked["across"] else _beside(categories, runs)
    return (found[0].start, found[0].end) if len(found) == 1 else None


def _categories(runs: Sequence[Run], words: Sequence[Run]) -> list[Run]:
    """The words of the lowest row, of two words or more, that all figures of the chart stand over or beside."""
    rows: list[list[Run]] = []
    for word in sorted(words, key=lambda one: one.box[1]):
        if rows and shared(rows[-1][0].box[1], rows[-1][0].box[3], word.box[1], word.box[3]) >= SAME_ROW:
            rows[-1].append(word)
        else:
            rows.append([word])
    figures = [one for one in runs if is_figure(one.text)]
    for row in reversed(rows):
        over = [one for one in figures if one.box[3] <= min(word.box[1] for word in row)]
        names = [word for word in row if not is_figure(word.text) or YEAR.fullmatch(word.text)]
        if len(names) > 1 and len(over) > 1:
            return names
    return []


def _over(categories: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Runs over all figures whose middle is over the row."""
    left, right, highest = min(one.box[0] for one in categories), max(one.box[2] for one in categories), _highest(runs)
    return [one for one in runs if one.box[3] <= highest and left < _middle(one) < right]


def _below(categories: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Runs under the row whose middle is within it."""
    left, right, bottom = min(one.box[0] for one in categories), max(one.box[2] for one in categories), max(one.box[3] for one in categories)
    height = bottom - min(one.box[1] for one in categories)
    return [one for one in runs if one.box[1] >= bottom - CLOSE * height and left < _middle(one) < right and not is_figure(one.text)]


def _beside(categories: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Runs left of the first category: those that are written upwards, else those over all figures."""
    first, row = min(one.box[0] for one in categories), min(one.box[1] for one in categories)
    left = [one for one in runs if _middle(one) < first and one.box[3] <= row and not is_figure(one.text)]
    upright = [one for one in left if len(one.text) > 2 and one.box[3] - one.box[1] > UPRIGHT * (one.box[2] - one.box[0])]
    return upright or [one for one in left if one.box[3] <= _highest(runs)]


def _highest(runs: Sequence[Run]) -> float:
    """Where figures begin, but for a little."""
    return min((one.box[1] + CLOSE * (one.box[3] - one.box[1]) for one in runs if is_figure(one.text)), default=0.0)


def _middle(run: Run) -> float:
    return (run.box[0] + run.box[2]) / 2
