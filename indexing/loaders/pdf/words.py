"""The text layer of a PDF page -> words with boxes, in PDFium's reading order, and their lines.

PDFium reports characters with boxes in the page's user space (origin bottom left, before rotation). They become words
on the page as displayed: rotated, cropped, in points from the top left.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from indexing.loaders.layout import Line, middle
from indexing.types import Box
from vision.reading_order import find_gutter, reading_order

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
# A hyphen that ends a line comes from PDFium as U+0002 or U+FFFE; U+00AD is a soft hyphen of the file's own.
LINE_HYPHENS = (0x02, 0xFFFE, 0xAD)
BOLD = re.compile(r"bold|black|heavy|semibold|demi|CMBX|[-,]B(?:d|old)?(?:$|I)", re.IGNORECASE)
# Lengths in font sizes:
GLUED = 0.12  # a smaller gap does not part two words
LINE_BACK = -2.0  # a step back to the next line, after a hyphen, where PDFium reports no break
COLUMN_GAP = 1.5  # a larger gap may part two columns
ASCENT, DESCENT = 0.72, 0.21  # of the box of a word above and below its baseline; near those of Helvetica and Times
MIN_SIZE = 1.5  # points: smaller print is hidden text that nobody can read
CLOSING = ",.;:)]}"


@dataclass(slots=True)
class Word:
    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    ends_line: bool = False


@dataclass(slots=True)
class _Glyph:
    index: int
    code: int
    x0: float  # of its advance, which leaves no gap to the next letter of a word
    x1: float
    ink: Box | None  # left, bottom, right, top


def page_words(page: PdfPage) -> list[Word]:
    """All words in sight, in content order; boxes in displayed points, y downwards."""
    textpage = page.get_textpage()
    try:
        words = _read(textpage)
    finally:
        textpage.close()
    return _displayed(words, page)


def page_lines(words: Sequence[Word], width: float, height: float) -> list[Line]:
    """Lines in reading order. Content order is kept, unless it jumps between two columns."""
    runs = _runs(words)
    pieces = [piece for run in runs for piece in _split_at_gaps(run)]
    if len(pieces) > len(runs):
        boxes = [_bounds(piece) for piece in pieces]
        gutter = find_gutter(boxes)
        if gutter is not None and _jumps(boxes, gutter):
            runs = [pieces[i] for i in reading_order(boxes)]
    return [_line(run, width, height) for run in runs]


def _read(textpage: PdfTextPage) -> list[Word]:
    """Words in user space. Three calls for each character (about 2 microseconds), one for the font of each word."""
    import pypdfium2.raw as pdfium

    raw, words, glyphs = textpage.raw, [], []
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    advance = pdfium.FS_RECTF()
    get_code, get_ink = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetCharBox
    get_advance = pdfium.FPDFText_GetLooseCharBox
    count = textpage.count_chars()
    for index in range(count + 1):
        code = get_code(raw, index) if index < count else 0x20
        if chr(code).isspace():
            if glyphs:
                words += _words(raw, glyphs)
                glyphs = []
            if code in (0x0A, 0x0D) and words:
                words[-1].ends_line = True
            continue
        has_ink = get_ink(raw, index, left, right, bottom, top)
        ink = (left.value, bottom.value, right.value, top.value) if has_ink else None
        wide = get_advance(raw, index, advance) and advance.right > advance.left
        x0, x1 = (advance.left, advance.right) if wide else (ink[0], ink[2]) if ink else (0.0, 0.0)
        if x1 > x0:
            glyphs.append(_Glyph(index, code, x0, x1, ink))
        elif glyphs:
            glyphs.append(_Glyph(index, code, glyphs[-1].x1, glyphs[-1].x1, None))  # a mark without width of its own
    return words


def _words(raw: object, glyphs: list[_Glyph]) -> Iterator[Word]:
    """The word, or words where PDFium overlooked a space: a gap wider than all others in it."""
    import pypdfium2.raw as pdfium

    first, matrix = glyphs[0].index, pdfium.FS_MATRIX()
    size, upright = pdfium.FPDFText_GetFontSize(raw, first), True
    if pdfium.FPDFText_GetMatrix(raw, first, matrix):
        size *= math.hypot(matrix.c, matrix.d)
        upright = abs(matrix.b) < 0.1 * abs(matrix.a)
    bold, start = _is_bold(raw, first), 0
    gaps = [(b.x0 - a.x1) / max(size, 1e-6) for a, b in pairwise(glyphs)]
    wide = not upright or middle(gaps) > GLUED / 2  # a turned line, or letters set apart on purpose
    ends = [i + 1 for i, gap in enumerate(gaps) if gap < LINE_BACK or (gap > GLUED and not wide)]
    for end in [*ends, len(glyphs)]:
        if size >= MIN_SIZE and (text := _spell([glyph.code for glyph in glyphs[start:end]])):
            word = _word(raw, text, glyphs[start:end], size, upright, bold)
            word.ends_line = end < len(glyphs) and gaps[end - 1] < LINE_BACK
            yield word
        start = end


def _word(raw: object, text: str, glyphs: list[_Glyph], size: float, upright: bool, bold: bool) -> Word:
    import pypdfium2.raw as pdfium

    x0, x1 = min(g.x0 for g in glyphs), max(g.x1 for g in glyphs)
    inks = [g.ink for g in glyphs if g.ink is not None and g.ink[3] > g.ink[1]]
    x, y = ctypes.c_double(), ctypes.c_double()
    known = bool(pdfium.FPDFText_GetCharOrigin(raw, glyphs[0].index, x, y)) and 0 < size < 1000
    y0, y1 = (min(i[1] for i in inks), max(i[3] for i in inks)) if inks else (y.value, y.value)
    if upright and known:
        # The ink of each word has another height; a highlight should be even along the line.
        y0, y1 = min(y0, y.value - DESCENT * size), max(y1, y.value + ASCENT * size)
    elif inks:
        x0, x1 = min(i[0] for i in inks), max(i[2] for i in inks)
    return Word(text, x0, y0, x1, y1, size if known else y1 - y0, bold)


def _is_bold(raw: object, index: int) -> bool:
    import pypdfium2.raw as pdfium

    name, flags = ctypes.create_string_buffer(96), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(raw, index, name, 96, flags)
    return bool(BOLD.search(name.value.decode("utf-8", "replace"))) or bool(flags.value & 1 << 18)


def _spell(codes: list[int]) -> str:
    """The word's text: ligatures as letters, the hyphen at its end as "-", soft hyphens inside it not at all."""
    last = codes[-1] in LINE_HYPHENS
    inner = [code for code in codes if code not in LINE_HYPHENS and code >= 0x20 and code not in (0x7F, 0x200B, 0xFEFF)]
    text = "".join(LIGATURES.get(code) or chr(code) for code in inner)
    # PDFium gives characters beyond the basic plane in halves.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return "".join(text.split()) + ("-" if last and inner else "")


def displayed(page: PdfPage) -> Callable[[Box], Box]:
    """A function from user space (left, bottom, right, top) to the displayed page (left, top, right, bottom).

    In points; y of the displayed page goes downwards.
    """
    left, bottom, right, top = page.get_bbox()
    width, height, rotation = right - left, top - bottom, page.get_rotation()

    def place(box: Box) -> Box:
        x0, x1 = box[0] - left, box[2] - left
        y0, y1 = top - box[3], top - box[1]
        if rotation == 90:
            return height - y1, x0, height - y0, x1
        if rotation == 180:
            return width - x1, height - y1, width - x0, height - y0
        if rotation == 270:
            return y0, width - x1, y1, width - x0
        return x0, y0, x1, y1

    return place


def _displayed(words: list[Word], page: PdfPage) -> list[Word]:
    place, (wide, high) = displayed(page), page.get_size()
    shown: list[Word] = []
    for word in words:
        x0, y0, x1, y1 = place((word.x0, word.y0, word.x1, word.y1))
        if x1 > 0 and y1 > 0 and x0 < wide and y0 < high:  # else it was cropped away
            shown.append(replace(word, x0=x0, y0=y0, x1=x1, y1=y1))
    return shown


def _runs(words: Sequence[Word]) -> list[list[Word]]:
    """Words of each line. A line that PDFium broke at a superscript is put together again."""
    runs: list[list[Word]] = []
    for word in words:
        last = runs[-1][-1] if runs else None
        if last is None or not _goes_on(last, word):
            runs.append([word])
        elif last.ends_line and word.x0 - last.x1 < (0.4 if word.text[0] in CLOSING else GLUED) * last.size:
            runs[-1][-1] = replace(
                word, text=last.text + word.text, size=max(last.size, word.size),
                x0=last.x0, y0=min(last.y0, word.y0), x1=max(last.x1, word.x1), y1=max(last.y1, word.y1),
            )
        else:
            runs[-1].append(word)
    return runs


def _goes_on(last: Word, word: Word) -> bool:
    """Whether a word continues the line. PDFium's line breaks do not count: it often breaks between cells of a row."""
    size = max(last.size, word.size)
    overlap = min(last.y1, word.y1) - max(last.y0, word.y0)
    return overlap >= 0.4 * min(last.y1 - last.y0, word.y1 - word.y0) and word.x0 >= last.x1 - 0.6 * size


def _split_at_gaps(run: Sequence[Word]) -> list[list[Word]]:
    pieces = [[run[0]]]
    for word in run[1:]:
        if word.x0 - pieces[-1][-1].x1 > COLUMN_GAP * word.size:
            pieces.append([])
        pieces[-1].append(word)
    return pieces


def _jumps(boxes: Sequence[Box], gutter: float) -> bool:
    """Whether the order changes sides more often than columns between full-width parts can explain."""
    sides = [box[0] >= gutter for box in boxes if not box[0] < gutter < box[2]]
    crossing = len(boxes) - len(sides)
    changes = sum(a != b for a, b in pairwise(sides))
    return changes > 2 * (crossing + 1) + 2


def _bounds(run: Sequence[Word]) -> Box:
    return min(w.x0 for w in run), min(w.y0 for w in run), max(w.x1 for w in run), max(w.y1 for w in run)


def _line(run: Sequence[Word], width: float, height: float) -> Line:
    x0, _, x1, _ = _bounds(run)
    size = middle(word.size for word in run for _ in word.text)
    main = [word for word in run if word.size > 0.8 * size] or run  # superscripts do not shift the line
    units = tuple((word.text, _unit(word, width, height), 1.0) for word in run)
    return Line(
        units, x0, min(w.y0 for w in main), x1, max(w.y1 for w in main), size, bold=all(word.bold for word in run),
        gapped=len(_split_at_gaps(run)) > 1, text=" ".join(word.text for word in run),
    )


def _unit(word: Word, width: float, height: float) -> Box:
    edges = (word.x0 / width, word.y0 / height, word.x1 / width, word.y1 / height)
    x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in edges)
    return (x0, y0, x1, y1)
