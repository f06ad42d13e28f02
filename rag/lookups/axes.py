"""Axis look-up: the title of an axis of a chart, or of the chart.

In: a question, a text and the boxes of its words. Out: the span of a title. Words of the question tell which axis is
meant, boxes which run is its title. Knows no pixels and no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from models.reader.coordinates import WordBox
from rag.lookups.text_runs import Span, TextRun, in_one_column, in_one_row, is_number, is_year, runs_of, words_of
from rag.lookups.vocabulary import GENERIC, LISTS
from rag.words import stems

OVERLAP = 0.3  # heights of a row: how far a run may reach into the row above, as OCR draws boxes
UPRIGHT = 2.5  # a run is written upwards that is, for its letters, so many times as high and narrow as others
TICKS = 3  # numbers left of the categories that make an axis
_WORDS = LISTS["axes"]
_AXIS, _TITLE, _AMOUNT, _NOTE = (
    re.compile(_WORDS[name], re.IGNORECASE) for name in ("axis", "title", "amount", "note")
)
_ASKING = stems(_WORDS["asking_stems"])


def asked_axis(question: str, text: str, boxes: Sequence[WordBox], around: str = "") -> Span | None:
    """(start, end) of the title in `text`.

    None where the question does not ask for one axis or title, or not exactly one run stands where it would be.
    around: headings over the page and the name of its document.
    """
    axes, title = list(_AXIS.finditer(question)), _TITLE.search(question)
    if len(axes) + bool(title) != 1 or _AMOUNT.search(question):
        return None
    runs = runs_of(text, boxes)
    categories = _categories(runs, words_of(text, boxes))
    on_page = stems(text) - frozenset().union(*(stems(name.text) for name in categories))
    if not categories or stems(question) - _ASKING - GENERIC - on_page - stems(around):
        return None
    if title:
        found = _chart_titles(categories, runs)
    elif axes[0]["horizontal"]:
        found = _below(categories, runs)
    else:
        found = _beside(categories, runs)
    return found[0].span if len(found) == 1 else None


def _categories(runs: Sequence[TextRun], words: Sequence[TextRun]) -> list[TextRun]:
    """The words of the lowest row that names bars or lies along an axis.

    Bars: two of the words have a number of their own above. An axis: numbers stand above and left of two runs.
    """
    numbers = [one for one in runs if is_number(one.text)]
    for row in _rows_from_below(words):
        names = [word for word in row if not is_number(word.text) or is_year(word.text)]
        if not names:
            continue
        top, first = min(word.box[1] for word in names), min(word.box[0] for word in names)
        above = [one for one in numbers if one.box[3] <= top]
        bars = {id(one) for word in names for one in above if in_one_column(one, word)}
        parts = [one for one in runs if any(one.start <= word.start < one.end for word in names)]
        ticks = [one for one in above if one.middle < first]
        if (len(names) > 1 and len(bars) > 1) or (len(parts) > 1 and len(ticks) >= TICKS):
            return names
    return []


def _rows_from_below(words: Sequence[TextRun]) -> list[list[TextRun]]:
    rows: list[list[TextRun]] = []
    for word in sorted(words, key=lambda one: one.box[1]):
        if rows and in_one_row(rows[-1][0], word):
            rows[-1].append(word)
        else:
            rows.append([word])
    return rows[::-1]


def _chart_titles(categories: Sequence[TextRun], runs: Sequence[TextRun]) -> list[TextRun]:
    """Runs over all numbers whose middle is over the categories."""
    left, right, top = min(one.box[0] for one in categories), max(one.box[2] for one in categories), _top_number(runs)
    return [one for one in runs if one.box[3] <= top and left < one.middle < right]


def _below(categories: Sequence[TextRun], runs: Sequence[TextRun]) -> list[TextRun]:
    """Runs under the categories whose middle is within their row, but for notes."""
    left, top, right, bottom = zip(*(one.box for one in categories), strict=True)
    height = max(bottom) - min(top)
    under = [one for one in runs if one.box[1] >= max(bottom) - OVERLAP * height]
    inside = [one for one in under if min(left) < one.middle < max(right)]
    return [one for one in inside if not is_number(one.text) and not _NOTE.match(one.text)]


def _beside(categories: Sequence[TextRun], runs: Sequence[TextRun]) -> list[TextRun]:
    """Runs left of the first category that are written upwards; else those over all numbers.

    The latter only if the chart has a title: a lone line over a chart is its title.
    """
    first, row = min(one.box[0] for one in categories), min(one.box[1] for one in categories)
    left = [one for one in runs if one.middle < first and one.box[3] <= row and not is_number(one.text)]
    usual = median(_slenderness(one) for one in runs)
    upright = [one for one in left if len(one.text) > 2 and _slenderness(one) > UPRIGHT * usual]
    if upright:
        return upright
    return [one for one in left if one.box[3] <= _top_number(runs)] if _chart_titles(categories, runs) else []


def _slenderness(run: TextRun) -> float:
    """Height by width of a letter: alike in all horizontal lines, whatever the page's own height and width."""
    left, top, right, bottom = run.box
    return (bottom - top) * len(run.text) / max(1e-9, right - left)


def _top_number(runs: Sequence[TextRun]) -> float:
    """Where the highest number begins, but for OVERLAP."""
    numbers = [one.box for one in runs if is_number(one.text)]
    return min((top + OVERLAP * (bottom - top) for _, top, _, bottom in numbers), default=0.0)
