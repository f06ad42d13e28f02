"""What a page says beside a label: the total of a receipt, a field of a form, the value over a bar. Words single out the label, its place the value.

Knows no model; says nothing where the question asks for more than a label that stands on the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.cells import ASKING, COMPARES
from rag.dates import days
from rag.support import stems

Box = tuple[float, float, float, float]
WordBox = tuple[int, int, float, float, float, float]  # characters start..end; left, top, right, bottom, 0..1 of the page

# what is asked of any page, and what it may be called
GENERIC = ASKING | stems(
    "bar bill bought chart column cost document field form graph high invoice letter line mail message note page paid pay photo picture price receipt say scan "
    "score sheet shop show slip state statement stand store tall ticket worth write written"
)
WANTED = (  # what a question begins with or holds, and what its value must look like
    (re.compile(r"\b(where|who|whom|whose|what (is the )?name)\b", re.IGNORECASE), re.compile(r"\D*[^\W\d_]{2}\D*")),
    (re.compile(r"\b(when|date|what day|which day)\b", re.IGNORECASE), re.compile(r".*\d.*([/.\s,-].*\d|[^\W\d_]{3}).*|.*[^\W\d_]{3}.*\d.*")),
    (re.compile(r"\bhow (many|much|tall|high|heavy|long|wide|old|far)\b", re.IGNORECASE), re.compile(r".*\d.*")),
)
QUANTITY = re.compile(r"^\s*\d+\s*[x×*]\s*|\s*[x×*]\s*\d+\s*$|\s*\d[\d.,]*\s*%\s*$", re.IGNORECASE)
ALIASES = (  # what bills call the same
    (re.compile(r"\bsub-?\s?total\b|\bnet( amount| total)?\b|\b(sum|total|amount) before (tax|vat)\b", re.IGNORECASE), " subtotal "),
    (re.compile(r"\b(grand |invoice )?total( due| to pay| amount)?\b|\b(total )?amount (due|payable)\b|\bbalance due\b|\bto pay\b|\bspent\b", re.IGNORECASE), " total "),
    (re.compile(r"\b(sales tax|vat|gst|mwst)\b", re.IGNORECASE), " tax "),
)
YEAR = re.compile(r"(?:19|20)\d\d")
FIGURE = re.compile(r"\S*\d\S*(?:\s\S{1,3})?")  # and perhaps its unit
TRAILING = re.compile(r"^(?P<label>.*?[^\W\d_].*?)(?:\s*:\s*|\s*[.…]{2,}\s*|\s+(?=[-+€$£¥]?\d[\d.,:/%-]*$))(?P<value>\S.*)$")
SAME_ROW, SAME_COLUMN = 0.5, 0.5  # of the smaller one: how much of their heights or widths two runs share
GAP = 1.6  # letters: what parts two runs
BELOW = 2.5  # heights of a label: how far below it a value may stand


@dataclass(frozen=True, slots=True)
class _Run:
    """A part of a line, and where it stands."""

    start: int
    end: int
    text: str
    box: Box


def asked_value(question: str, text: str, boxes: Sequence[WordBox], around: str = "") -> tuple[int, int] | None:
    """(start, end) in `text`; None where the question does not single out a label with a value. around: the page's name.

    Without boxes only what stands behind a colon is a value.
    """
    words = stems(_plain(question)) - ASKING
    if not words or COMPARES.search(question):
        return None
    runs, known = list(_runs(text, boxes)), GENERIC | stems(_plain(text)) | stems(text) | stems(around)
    if words - known:
        return None
    wanted = next((looks for cue, looks in WANTED if cue.search(question)), None)
    found: list[tuple[tuple[int, bool], tuple[int, int]]] = []
    for run in runs or _lines(text):
        for label, over, (start, end) in _values(run, runs):
            named = _named(label)
            if named - GENERIC and named <= words and not text[start:end].endswith(":") and (wanted is None or wanted.fullmatch(text[start:end])):
                found.append(((len(named), over), (start, end)))
    most = max((rank for rank, _ in found), default=None)
    best = {value for rank, value in found if rank == most}
    return best.pop() if len(best) == 1 else None


def _named(label: str) -> frozenset[str]:
    """The words of a label, without the number of things."""
    return frozenset(word for word in stems(_plain(QUANTITY.sub("", label))) - ASKING if not word.isdigit() or YEAR.fullmatch(word))


def _plain(text: str) -> str:
    for said, plain in ALIASES:
        text = said.sub(plain, text)
    return text


def _runs(text: str, boxes: Sequence[WordBox]) -> Iterator[_Run]:
    """Words of one line that no wide gap parts."""
    run: list[WordBox] = []
    for box in boxes:
        letter = (run[-1][4] - run[-1][2]) / max(1, run[-1][1] - run[-1][0]) if run else 0.0
        if run and ("\n" in text[run[-1][1] : box[0]] or box[2] - run[-1][4] > GAP * letter):
            yield _run(text, run)
            run = []
        run.append(box)
    if run:
        yield _run(text, run)


def _lines(text: str) -> Iterator[_Run]:
    """Of a text without places the lines that part a label from its value by a colon."""
    for line in re.finditer(r"[^\n:]+:[^\n]*\S", text):
        yield _Run(line.start(), line.end(), line[0], (0.0, 0.0, 0.0, 0.0))


def _run(text: str, words: Sequence[WordBox]) -> _Run:
    left, top, right, bottom = zip(*(word[2:] for word in words), strict=True)
    start, end = words[0][0], words[-1][1]
    return _Run(start, end, text[start:end], (min(left), min(top), max(right), max(bottom)))


def _values(run: _Run, runs: Sequence[_Run]) -> Iterator[tuple[str, bool, tuple[int, int]]]:
    """(label, whether its value stands over it, characters of that): within the line, else the run right of it, else a figure above or what is below."""
    if days(run.text):
        return
    if (parted := TRAILING.match(run.text)) and not QUANTITY.search(run.text):
        yield parted["label"], False, (run.start + parted.start("value"), run.start + parted.end("value"))
        return
    colon = run.text.endswith(":")
    label = run.text.rstrip(": ")
    left, top, right, bottom = run.box
    beside = [one for one in runs if one is not run and one.box[0] >= right - 0.2 * (right - left) and _shared(one.box[1], one.box[3], top, bottom) >= SAME_ROW]
    if beside:
        nearest = min(beside, key=lambda one: one.box[0])
        named_alike = YEAR.fullmatch(label) and YEAR.fullmatch(nearest.text)  # a row of years under bars
        if colon or (_figure(nearest.text) and not named_alike):
            yield label, False, (nearest.start, nearest.end)
            return
    column = [one for one in runs if one is not run and _shared(one.box[0], one.box[2], left, right) >= SAME_COLUMN]
    above = [one for one in column if one.box[3] <= top + 0.3 * (bottom - top) and _figure(one.text)]
    below = [one for one in column if one.box[1] >= bottom - 0.3 * (bottom - top) and one.box[1] - bottom <= BELOW * (bottom - top)]
    if colon and below:
        nearest = min(below, key=lambda one: one.box[1])
        yield label, False, (nearest.start, nearest.end)
    elif above:
        nearest = max(above, key=lambda one: one.box[3])
        yield label, True, (nearest.start, nearest.end)


def _figure(text: str) -> bool:
    return bool(FIGURE.fullmatch(text)) and sum(map(str.isdigit, text)) >= sum(map(str.isalpha, text))


def _shared(low: float, high: float, other_low: float, other_high: float) -> float:
    return (min(high, other_high) - max(low, other_low)) / max(1e-9, min(high - low, other_high - other_low))
