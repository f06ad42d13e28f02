"""What is written along an axis of a chart, or over it. The words of the question tell which of them, places which words these are; knows no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from rag.generators.quote.sentence_features import stems
from rag.lookups.labels import GENERIC, YEAR
from rag.lookups.table_cells import COMPARES
from rag.lookups.text_runs import Run, Span, WordBox, is_figure, level, over, runs_of

AXIS = re.compile(r"\b(?:(?P<across>x|horizontal|bottom)|y|vertical|left)[\s-]?axis\b", re.IGNORECASE)
TITLE = re.compile(r"\b(title|heading|headline) (of|on|over) (the|this|that) (\w+ )?(chart|diagram|graph|plot)\b|\b(chart|diagram|graph|plot) title\b", re.IGNORECASE)
AMOUNT = re.compile(r"\bhow (?!is\b|are\b)", re.IGNORECASE)  # asks for more than what is written
ASKED = stems("axis axes bottom called diagram graph heading headline horizontal label labelled left measure measured name named plot plotted represent title unit units vertical x y")
NOTE = re.compile(r"(source|note|fig(ure)?|table|chart)\b", re.IGNORECASE)  # how what stands below a chart begins that is no title of an axis
NEAR = 3.0  # heights of a row: how far below it the title of its axis may stand
CLOSE = 0.3  # heights of a row: how far a box may reach into the row above, as OCR draws them
UPRIGHT = 2.5  # a run is written upwards that is, for its letters, so many times as high and narrow as others


def asked_axis(question: str, text: str, boxes: Sequence[WordBox], around: str = "") -> Span | None:
    """(start, end) in `text`; None where the question asks for no axis and no title, or no run stands where that would. around: the page's name."""
    asked, title = list(AXIS.finditer(question)), TITLE.search(question)
    if len(asked) + bool(title) != 1 or COMPARES.search(question) or AMOUNT.search(question):
        return None
    runs = runs_of(text, boxes)
    categories = _categories(runs, [one for box in boxes for one in runs_of(text, [box])])
    names = frozenset().union(*(stems(name.text) for name in categories))
    if not categories or stems(question) - ASKED - GENERIC - (stems(text) - names) - stems(around):
        return None
    found = _over(categories, runs) if title else _below(categories, runs) if asked[0]["across"] else _beside(categories, runs)
    return (found[0].start, found[0].end) if len(found) == 1 else None


def _categories(runs: Sequence[Run], words: Sequence[Run]) -> list[Run]:
    """The words of the lowest row of which two have a figure of their own above, as bars have, or where figures stand above and left of two runs, as along an axis."""
    figures = [one for one in runs if is_figure(one.text)]
    for row in _rows(words):
        names = [word for word in row if not is_figure(word.text) or YEAR.fullmatch(word.text)]
        if not names:
            continue
        top, first = min(word.box[1] for word in names), min(word.box[0] for word in names)
        above = [one for one in figures if one.box[3] <= top]
        bars = {id(one) for word in names for one in above if over(one, word)}
        parts = [one for one in runs if any(one.start <= word.start < one.end for word in names)]
        if (len(names) > 1 and len(bars) > 1) or (len(parts) > 1 and sum(_middle(one) < first for one in above) > 2):
            return names
    return []


def _rows(words: Sequence[Run]) -> list[list[Run]]:
    """From below."""
    rows: list[list[Run]] = []
    for word in sorted(words, key=lambda one: one.box[1]):
        if rows and level(rows[-1][0], word):
            rows[-1].append(word)
        else:
            rows.append([word])
    return rows[::-1]


def _over(categories: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Runs over all figures whose middle is over the row."""
    left, right, highest = min(one.box[0] for one in categories), max(one.box[2] for one in categories), _highest(runs)
    return [one for one in runs if one.box[3] <= highest and left < _middle(one) < right]


def _below(categories: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Runs close under the row whose middle is within it, but for notes."""
    left, right, bottom = min(one.box[0] for one in categories), max(one.box[2] for one in categories), max(one.box[3] for one in categories)
    height = bottom - min(one.box[1] for one in categories)
    under = [one for one in runs if -CLOSE * height <= one.box[1] - bottom <= NEAR * height and left < _middle(one) < right]
    return [one for one in under if not is_figure(one.text) and not NOTE.match(one.text)]


def _beside(categories: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Runs left of the first category: those that are written upwards, else those over all figures, where the chart has a title too."""
    first, row = min(one.box[0] for one in categories), min(one.box[1] for one in categories)
    left = [one for one in runs if _middle(one) < first and one.box[3] <= row and not is_figure(one.text)]
    usual = median(_slender(one) for one in runs)
    upright = [one for one in left if len(one.text) > 2 and _slender(one) > UPRIGHT * usual]
    return upright or ([one for one in left if one.box[3] <= _highest(runs)] if _over(categories, runs) else [])


def _slender(run: Run) -> float:
    """Height by width of a letter: alike in all level lines, whatever the page's own height and width."""
    left, top, right, bottom = run.box
    return (bottom - top) * len(run.text) / max(1e-9, right - left)


def _highest(runs: Sequence[Run]) -> float:
    """Where figures begin, but for a little."""
    return min((one.box[1] + CLOSE * (one.box[3] - one.box[1]) for one in runs if is_figure(one.text)), default=0.0)


def _middle(run: Run) -> float:
    return (run.box[0] + run.box[2]) / 2
