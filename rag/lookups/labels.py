"""What a page says beside a label: the total of a receipt, a field of a form, the value over a bar. Words single out the label, its place the value.

Knows no model; says nothing where the question asks for more than a label that stands on the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag.dates import days
from rag.generators.quote.sentence_features import stems
from rag.lookups.table_cells import ASKING, COMPARES
from rag.lookups.text_runs import Run, Span, WordBox, is_figure, level, lines_of, over, runs_of

# what is asked of any page, and what it may be called
GENERIC = ASKING | stems(
    "bar bill bought chart column cost document field form graph high invoice letter line mail message note page paid pay photo picture price receipt say scan "
    "score sheet shop show shown slip state statement stand store tall ticket worth write written"
)
WANTED = (  # what a question begins with or holds, and what its value must look like
    (re.compile(r"\b(where|who|whom|whose|what (is the )?name)\b", re.IGNORECASE), re.compile(r"\D*[^\W\d_]{2}\D*")),
    (re.compile(r"\b(when|date|what day|which day)\b", re.IGNORECASE), re.compile(r".*\d.*([/.\s,-].*\d|[^\W\d_]{3}).*|.*[^\W\d_]{3}.*\d.*")),
    (re.compile(r"\bhow (many|much|tall|high|heavy|long|wide|old|far)\b", re.IGNORECASE), re.compile(r".*\d.*")),
)
QUANTITY = re.compile(r"^\s*\d+\s*[x×*]\s*|\s*[x×*]\s*\d+\s*$|\s*\d[\d.,]*\s*%\s*$", re.IGNORECASE)
ALIASES = (  # what bills call the same, and those who ask about them
    (re.compile(r"\bsub-?\s?total\b|\bnet( amount| total)?\b|\b(sum|total|amount) before (tax|vat)\b", re.IGNORECASE), " subtotal "),
    (re.compile(r"\b(grand |invoice )?total( due| to pay| amount)?\b|\b(total )?amount (due|payable)\b|\bbalance due\b|\bto pay\b|\bspent\b", re.IGNORECASE), " total "),
    (re.compile(r"\bhow much (is|was) (due|owed)\b", re.IGNORECASE), " total "),
    (re.compile(r"\b(it|everything|bill|invoice|order|purchase|receipt|shopping) (come|came) to\b", re.IGNORECASE), " total "),
    (re.compile(r"\b(sales tax|vat|gst|mwst)\b", re.IGNORECASE), " tax "),
)
YEAR = re.compile(r"(?:19|20)\d\d")
TRAILING = re.compile(r"^(?P<label>.*?[^\W\d_].*?)(?:\s*:\s*|\s*[.…]{2,}\s*|\s+(?=[-+€$£¥]?\d[\d.,:/%-]*$))(?P<value>\S.*)$")
BELOW = 2.5  # heights of a label: how far below it a value may stand


def asked_value(question: str, text: str, boxes: Sequence[WordBox], around: str = "", *, alone: bool = False) -> tuple[Span, Span] | None:
    """A label and its value in `text`; None where the question does not single them out. around: the page's name; alone: label and that must hold all that is
    asked, where else other words on the page may.

    Without boxes only what stands behind a colon is a value.
    """
    words = stems(_plain(question)) - ASKING
    if not words or COMPARES.search(question):
        return None
    runs, known = runs_of(text, boxes), GENERIC | stems(_plain(text)) | stems(text) | stems(around)
    if words - known:
        return None
    found: dict[tuple[int, bool], dict[Span, Span]] = {}  # how good: labels by values
    for run in [*runs, *_under_bars(runs, text, boxes)] or lines_of(text):
        for label, below, (start, end) in _values(run, runs):
            named = _named(label)
            if alone and words - named - GENERIC - stems(around):
                continue
            if named - GENERIC and named <= words and not text[start:end].endswith(":") and looks_wanted(question, text[start:end]):
                found.setdefault((len(named), below), {})[start, end] = (run.start, run.start + len(label))
    best = found[max(found)] if found else {}
    return next(((label, value) for value, label in best.items()), None) if len(best) == 1 else None


def looks_wanted(question: str, value: str) -> bool:
    """Whether a value looks like what is asked for: a name, a date, a number."""
    looks = next((looks for cue, looks in WANTED if cue.search(question)), None)
    return looks is None or bool(looks.fullmatch(value))


def _named(label: str) -> frozenset[str]:
    """The words of a label, without the number of things."""
    return frozenset(word for word in stems(_plain(QUANTITY.sub("", label))) - ASKING if not word.isdigit() or YEAR.fullmatch(word))


def _plain(text: str) -> str:
    for said, plain in ALIASES:
        text = said.sub(plain, text)
    return text


def _labelled(value: Run, runs: Sequence[Run]) -> bool:
    """Whether words stand right over a figure, from where it begins: it is their value, as on a form."""
    left, top, right, bottom = value.box
    letter = (right - left) / len(value.text)
    return any(abs(one.box[0] - left) <= letter and 0 <= top - one.box[3] <= BELOW * (bottom - top) and not is_figure(one.text) for one in runs)


def _under_bars(runs: Sequence[Run], text: str, boxes: Sequence[WordBox]) -> list[Run]:
    """The words of runs that stand each under a figure of its own: names of bars, so close to each other that they look like one line."""
    figures, found = [one for one in runs if is_figure(one.text)], []
    for run in (run for run in runs if " " in run.text):
        words = [one for box in boxes if run.start <= box[0] < run.end for one in runs_of(text, [box])]
        above = [{one for one in figures if one.box[3] <= run.box[1] and over(one, word)} for word in words]
        if len(words) > 1 and all(above) and len(frozenset().union(*above)) == sum(map(len, above)):
            found += words
    return found


def _values(run: Run, runs: Sequence[Run]) -> Iterator[tuple[str, bool, Span]]:
    """(label, whether its value stands over it, characters of that): within the line, else the one run right of it, else a figure above or what is below."""
    if days(run.text):
        return
    if (parted := TRAILING.match(run.text)) and not QUANTITY.search(run.text):
        yield parted["label"], False, (run.start + parted.start("value"), run.start + parted.end("value"))
        return
    colon = run.text.endswith(":")
    label = run.text.rstrip(": ")
    left, top, right, bottom = run.box
    beside = [one for one in runs if one is not run and one.box[0] >= right - 0.2 * (right - left) and level(one, run)]
    if beside:
        nearest = min(beside, key=lambda one: one.box[0])
        named_alike = YEAR.fullmatch(label) and YEAR.fullmatch(nearest.text)  # a row of years under bars
        if colon or ((is_figure(nearest.text) or days(nearest.text)) and not named_alike):
            if colon or len(beside) == 1:  # else it is any of several
                yield label, False, (nearest.start, nearest.end)
            return
    column = [one for one in runs if one is not run and over(one, run)]
    above = [one for one in column if one.box[3] <= top + 0.3 * (bottom - top) and is_figure(one.text) and not _labelled(one, runs)]
    below = [one for one in column if one.box[1] >= bottom - 0.3 * (bottom - top) and one.box[1] - bottom <= BELOW * (bottom - top)]
    if colon and below:
        nearest = min(below, key=lambda one: one.box[1])
        yield label, False, (nearest.start, nearest.end)
    elif above:
        nearest = max(above, key=lambda one: one.box[3])
        yield label, True, (nearest.start, nearest.end)