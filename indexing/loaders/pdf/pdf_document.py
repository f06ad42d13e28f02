"""PDF, by PDFium -> pages of words with boxes, tables and figures. Pages without a text layer are read by OCR.

A running header or footer is kept on the first page that has it and left out of the others, so that it neither cuts
paragraphs in two nor fills the index. A page that PDFium cannot read becomes an empty page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders import layout
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import check_size
from indexing.loaders.images.ocr_lines import ocr_lines
from indexing.loaders.layout import Line, Style
from indexing.loaders.loader import Alive
from indexing.loaders.pdf.insets import insets
from indexing.loaders.pdf.pictures import Shown, page_picture
from indexing.loaders.pdf.words import page_lines, page_words
from indexing.types import BlockKind, Document, LoadError
from vision.pages import PDFIUM, render

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

LIMIT_MB = 4000  # PDFium reads a file from disk as it needs it
PASSWORD = 4  # FPDF_ERR_PASSWORD
SAMPLE = 16  # pages by which the document's typography is found
MARGIN = 0.12  # share of the height, at top and bottom, where running headers and footers are
RECURS = 0.4  # share of the sampled pages, from which a line in the margin is a running one
FEW = 16  # characters: a page with fewer may need OCR
PICTURE = 0.1  # share of the page that a picture covers, from which such a page does
GARBLED = 0.3  # share of characters like GARBAGE, from which a text layer is not used
GARBAGE = re.compile(r"[\ufffd\ue000-\uf8ff]")  # replacement and private use: fonts without a table of characters
NUMBERS = re.compile(r"\d+|\b[ivxlc]+\b")
NO_TITLE = re.compile(
    r"^(untitled|microsoft (word|powerpoint|excel)|slide ?1$|document ?\d*$|pdf$)"
    r"|\.(docx?|indd|pdf|tex|qxd|pptx?|xlsx?|dvi|e?ps|rtf|html?)$",
    re.IGNORECASE,
)


def load(path: Path, alive: Alive) -> Iterator[Document]:
    check_size(path, LIMIT_MB, "PDF")
    document = _open(path)
    try:
        yield _read(document, alive)
    finally:
        with PDFIUM:
            document.close()


def _open(path: Path) -> PdfDocument:
    import pypdfium2 as pdfium

    with PDFIUM:
        try:
            document = pdfium.PdfDocument(path)
        except pdfium.PdfiumError as error:
            if error.err_code == PASSWORD:
                raise LoadError("encrypted PDF: needs a password") from error
            raise LoadError("not a readable PDF: damaged, or another format") from error
        if len(document) == 0:
            document.close()
            raise LoadError("a PDF without pages")
    return document


def _read(document: PdfDocument, alive: Alive) -> Document:
    style, running = _learn(document, alive)
    builder = DocumentBuilder()
    seen: set[str] = set()  # running lines that a page before had
    shown = Shown(alive)
    damaged = 0
    for index in range(len(document)):
        page = _page(document, index)
        if page is None:
            damaged += 1
            builder.page(index + 1)
            continue
        with PDFIUM:
            try:
                _feed_page(builder, page, index + 1, style, running, seen, shown)
            finally:
                page.close()
        alive()
    if damaged == len(document):
        raise LoadError("not a readable PDF: no page can be opened")
    title = _metadata_title(document)
    built = builder.build(title=title, format="pdf")
    return built if title else replace(built, title=_first_heading(built))


def _page(document: PdfDocument, index: int) -> PdfPage | None:
    import pypdfium2 as pdfium

    with PDFIUM:
        try:
            page = document[index]
            if min(page.get_size()) > 0:
                return page
            page.close()
        except pdfium.PdfiumError:  # one damaged page must not cost the others
            pass
        return None


def _feed_page(
    builder: DocumentBuilder, page: PdfPage, number: int, style: Style, running: set[str], seen: set[str], shown: Shown
) -> None:
    width, height = page.get_size()
    builder.page(number, width, height)
    lines = _lines(page)
    if _needs_ocr(lines, page):
        found = ocr_lines(render(page), width, height)
        if sum(len(line.text) for line in found) > sum(len(GARBAGE.sub("", line.text)) for line in lines):
            layout.feed(builder, found, Style(layout.body_size(found), steady=False))
            return
    kept: list[Line] = []
    for line in lines:
        key = _running_key(line, width, height)
        if key not in running:
            kept.append(line)
        elif key not in seen:
            seen.add(key)
            kept.append(replace(line, margin=True))
    rest, beside = insets(kept, page, number, style, shown)
    layout.feed(builder, rest, style, beside)
    if not lines and not beside and (picture := page_picture(page, number)):
        builder.placed_figure([], [], picture)


def _lines(page: PdfPage) -> list[Line]:
    return page_lines(page_words(page), *page.get_size())


def _needs_ocr(lines: list[Line], page: PdfPage) -> bool:
    """Whether a page shows something, and its text layer is empty, nearly empty or garbage."""
    import pypdfium2.raw as pdfium

    text = "".join(line.text for line in lines)
    if len(GARBAGE.findall(text)) > GARBLED * len(text):
        return True
    if len(text) >= FEW:
        return False
    area = page.get_width() * page.get_height()
    for thing in page.get_objects():
        if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = thing.get_bounds()
            if (right - left) * (top - bottom) > PICTURE * area:
                return True
        elif thing.type != pdfium.FPDF_PAGEOBJ_TEXT and not text:  # letters drawn as shapes, perhaps
            return True
    return False


def _learn(document: PdfDocument, alive: Alive) -> tuple[Style, set[str]]:
    """The typography, and the keys of running headers and footers, from a sample of pages spread over the document."""
    count = len(document)
    spread = sorted({round(i * (count - 1) / (SAMPLE - 1)) for i in range(SAMPLE)})
    sample = spread if count > SAMPLE else range(count)
    lines: list[Line] = []
    keys: Counter[str] = Counter()
    for index in sample:
        page = _page(document, index)
        if page is None:
            continue
        with PDFIUM:
            found, (width, height) = _lines(page), page.get_size()
            page.close()
        lines += found
        keys.update({_running_key(line, width, height) for line in found} - {""})
        alive()
    running = {key for key, times in keys.items() if times >= max(2, RECURS * len(sample))}
    return Style(layout.body_size(lines) or 10.0), running


def _running_key(line: Line, width: float, height: float) -> str:
    """Of a line in the upper or lower margin: its text with "#" for numbers, and its place. "" for other lines."""
    if line.y1 > MARGIN * height and line.y0 < (1 - MARGIN) * height:
        return ""
    # The place tells a page number from a number that happens to be alone on a page's last line.
    place = round(50 * line.y1 / height), round(10 * (line.x0 + line.x1) / width)
    return f"{NUMBERS.sub('#', line.text)} {place}"


def _metadata_title(document: PdfDocument) -> str:
    with PDFIUM:
        title = " ".join((document.get_metadata_value("Title") or "").split())
    return title if 3 <= len(title) <= 300 and not NO_TITLE.search(title) and not GARBAGE.search(title) else ""


def _first_heading(document: Document) -> str:
    """The most prominent heading of the first page that has one."""
    for page in document.pages:
        inside = [b for b in document.blocks if b.kind is BlockKind.HEADING and page.start <= b.start < page.end]
        if inside:
            best = min(inside, key=lambda block: block.level)
            return " ".join(document.text[best.start : best.end].split())
    return ""
