"""Lines of words with positions -> paragraphs and headings, by gaps, indents and font sizes. Pure.

For PDF pages and OCR. Knows nothing of where the lines come from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.loaders.builder import DocumentBuilder, PlacedWord
from indexing.types import BlockKind

BULLET = re.compile(r"(?:[•▪◦‣●○■□➢❖✓∙·]|[-–—*o](?=\s))")
NUMBERED = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)]\s")
SENTENCE_END = re.compile(r"[.!?:;][)\]\"'”’]*\d{0,3}$")
LONG_HEADING = 150  # characters
COMMON = 0.15  # share of a document's characters: a font size with this share is running text, not headings


@dataclass(frozen=True, slots=True)
class Line:
    """Words of one line. Positions in the page's own unit (points, pixels), y downwards."""

    words: tuple[PlacedWord, ...]  # as DocumentBuilder.words takes them: boxes in 0..1
    x0: float
    y0: float
    x1: float
    y1: float
    size: float  # font size
    bold: bool = False
    margin: bool = False  # a running header or footer: never part of a paragraph
    gapped: bool = False  # in parts far from each other, as the row of a table is
    text: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """Typography of a document."""

    body: float  # font size of running text
    steady: bool = True  # sizes are known; False: estimated by OCR


@dataclass(frozen=True, slots=True)
class Inset:
    """A figure or a table between the lines of a page."""

    at: int  # number of lines before it
    put: Callable[[DocumentBuilder], None]  # appends it


def feed(builder: DocumentBuilder, lines: Sequence[Line], style: Style, insets: Sequence[Inset] = ()) -> None:
    """Append the lines of one page, given in reading order, as headings and paragraphs.

    An inset follows the paragraph that it interrupts.
    """
    waiting, passed = list(insets), 0
    for group in paragraphs(lines, style):
        while waiting and waiting[0].at <= passed:
            waiting.pop(0).put(builder)
        level = heading_level(group, style)
        kind = BlockKind.HEADING if level else BlockKind.PARAGRAPH
        builder.words([list(line.words) for line in group], kind, level)
        passed += len(group)
    for inset in waiting:
        inset.put(builder)


def body_size(lines: Sequence[Line]) -> float:
    """The largest font size that COMMON of the text has, as notes and tables may be most of it; 0 without lines."""
    weights: Counter[float] = Counter()
    for line in lines:
        weights[round(line.size * 2) / 2] += len(line.text)
    return max(
        (size for size, weight in weights.items() if weight >= COMMON * weights.total()),
        default=middle(line.size for line in lines),
    )


def middle(values: Iterable[float]) -> float:
    """The median, the upper one of an even number of values; 0 without values."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


def paragraphs(lines: Sequence[Line], style: Style) -> list[list[Line]]:
    """The lines, in reading order, grouped into paragraphs."""
    pitch = _usual_pitch(lines)
    groups: list[list[Line]] = []
    for line in lines:
        if groups and not _parted(groups[-1], line, pitch, style):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def heading_level(group: Sequence[Line], style: Style) -> int:
    """1 to 4 for a heading, which is short, and larger or bolder than running text; else 0."""
    text = " ".join(line.text for line in group)
    if group[0].margin or len(text) > LONG_HEADING or len(group) > 3:
        return 0
    if sum(map(str.isalpha, text)) < max(3, 0.5 * len(text.replace(" ", ""))):  # figures or a formula
        return 0
    if text.endswith((",", ";")) or (text.endswith(".") and len(text) > 60) or BULLET.match(text):
        return 0
    if any(line.gapped for line in group):
        return 0
    ratio = min(line.size for line in group) / max(style.body, 1e-6)
    if not style.steady:
        return 2 if ratio >= 1.6 and len(group) <= 2 else 0
    bold = all(line.bold for line in group) and len(group) <= 2 and len(text) <= 100
    for least, level in ((1.7, 1), (1.35, 2), (1.12 if bold else 1.2, 3)):
        if ratio >= least:
            return level
    return 4 if bold and ratio >= 0.95 and not text.endswith(":") else 0


def _usual_pitch(lines: Sequence[Line]) -> float:
    """The usual distance from line to line, in font sizes."""
    pitches = [
        (line.y1 - last.y1) / line.size
        for last, line in pairwise(lines)
        if line.size > 0 and _overlap(last, line) and abs(line.size - last.size) < 0.15 * line.size
    ]
    near = [pitch for pitch in pitches if 0.8 <= pitch <= 3.0]
    return middle(near) if near else 1.25


def _overlap(a: Line, b: Line) -> bool:
    return min(a.x1, b.x1) > max(a.x0, b.x0)


def _parted(group: Sequence[Line], line: Line, pitch: float, style: Style) -> bool:
    """Whether `line` begins a new paragraph after the lines of `group`."""
    last = group[-1]
    size = max(line.size, last.size, 1e-6)
    if line.margin or last.margin:
        return True
    if abs(line.y1 - last.y1) < 0.5 * size and line.x0 >= last.x1 - 0.5 * size:  # goes on in the same row
        return False
    if abs(line.size - last.size) > (0.12 if style.steady else 0.45) * size or line.bold != last.bold:
        return True
    ended = bool(SENTENCE_END.search(last.text))
    begins = not line.text[:1].islower()
    if BULLET.match(line.text) and not line.text.startswith(("-", "–", "—", "o")):
        return True
    if line.y1 < last.y1 - 0.5 * size:  # the next column: the paragraph goes on if the sentence does
        return ended or begins
    step = (line.y1 - last.y1) / size
    if step > 1.22 * pitch + 0.08 or not _overlap(last, line):
        return True
    if (NUMBERED.match(line.text) or BULLET.match(line.text)) and (ended or line.x0 <= group[0].x0 + 0.3 * size):
        return True
    if not (ended and begins):
        return False
    indent = line.x0 - last.x0
    right = max(other.x1 for other in [*group, line])
    short = last.x1 < right - 0.15 * (right - last.x0)
    return abs(indent) > 0.8 * size or short
