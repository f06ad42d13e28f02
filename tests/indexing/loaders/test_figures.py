"""Figures of PDF pages: found by their captions, boxed, and chunks of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.chunking import chunk
from indexing.loaders.captions import FIGURE_CAPTION
from indexing.loaders.layout import Line
from indexing.loaders.pdf import pdf_document
from indexing.loaders.pdf.figures import CELL, Region, joined, uncaptioned_drawings
from indexing.types import BlockKind, Box, Document, Modality
from tests.indexing.checks import chunks_of
from tests.indexing.pdf_files import PdfPage, write_pdf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MENTION = "Figure 2 shows that flour rose every year until the wheel broke."
CAPTION_TEXT = "Figure 2: Flour ground at the tide mill."
PLACE = (0.2, 0.55, 0.6, 0.25)  # of the axes: left, bottom, width, height, from the bottom of the page


def with_chart(
    folder: Path, texts: Sequence[tuple[str, float]], more: Callable[[Figure], None] = lambda page: None
) -> Document:
    """A page with a chart drawn as vectors, texts at these heights, and whatever else is drawn on it."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    page = Figure(figsize=(8.3, 11.7))
    axes = page.add_axes(PLACE)
    axes.bar(["1786", "1787", "1788"], [12, 14, 9])
    axes.set_ylabel("Tonnes")
    for text, y in texts:
        page.text(0.2, y, text, fontsize=11)
    more(page)
    FigureCanvasPdf(page).print_pdf(folder / "report.pdf")
    [document] = pdf_document.load(folder / "report.pdf", lambda: None)
    return document


def assert_around_the_chart(box: Box) -> None:
    """With its labels, and not much more."""
    left, bottom, width, height = PLACE
    x0, y0, x1, y1 = box
    assert x0 <= left and x1 >= left + width and y0 <= 1 - bottom - height and y1 >= 1 - bottom
    assert x1 - x0 < width + 0.2 and y1 - y0 < height + 0.1


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """A chart between two paragraphs."""
    texts = ("The mill stood by the sea and ground for the whole coast.", 0.88), (CAPTION_TEXT, 0.5), (MENTION, 0.4)
    return with_chart(tmp_path_factory.mktemp("figures"), texts)


def test_a_chart_is_a_block_with_its_caption_its_words_and_its_box(read: Document) -> None:
    [figure] = read.pictures
    [(number, block)] = [(at, block) for at, block in enumerate(read.blocks) if block.kind is BlockKind.FIGURE]
    text = read.text[block.start : block.end]
    assert figure.block == number and figure.thumbnail and text.startswith(CAPTION_TEXT)
    assert {"1786", "1787", "1788", "Tonnes"} <= set(text.split())
    assert_around_the_chart(figure.box)
    rest = [read.text[block.start : block.end] for block in read.blocks if block.kind is not BlockKind.FIGURE]
    assert rest == ["The mill stood by the sea and ground for the whole coast.", MENTION]


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """A chart without a caption between paragraphs, and a table with a grid."""
    from matplotlib.lines import Line2D

    def grid(page: Figure) -> None:
        rows = [*((f"179{row}", f"{row + 20}", f"{row}.50") for row in range(3)), ("Year", "Sacks", "Price")]
        for row, texts in enumerate([*rows, ()]):  # from the bottom of the page
            page.add_artist(Line2D([0.1, 0.7], [0.1 + 0.04 * row] * 2, color="black", linewidth=1))
            for column, text in enumerate(texts):
                page.text(0.12 + 0.2 * column, 0.115 + 0.04 * row, text, fontsize=11)
        for column in range(4):
            page.add_artist(Line2D([0.1 + 0.2 * column] * 2, [0.1, 0.26], color="black", linewidth=1))

    prose = "The mill stood by the sea and ground for the whole coast, day and night,\nwhatever the wind."
    return with_chart(tmp_path_factory.mktemp("unnamed"), [(prose, y) for y in (0.9, 0.5, 0.4)], grid)


def test_a_chart_without_a_caption_is_a_figure_and_a_table_is_none(unnamed: Document) -> None:
    [figure] = unnamed.pictures
    block = unnamed.blocks[figure.block]
    words = set(unnamed.text[block.start : block.end].split())
    assert block.kind is BlockKind.FIGURE and {"1786", "1787", "1788", "Tonnes"} <= words
    assert_around_the_chart(figure.box)
    rest = [unnamed.text[one.start : one.end] for one in unnamed.blocks if one.kind is not BlockKind.FIGURE]
    assert sum("whatever the wind." in text for text in rest) == 3 and "Year | Sacks | Price" in rest


def test_what_has_running_text_in_it_is_no_drawing() -> None:
    def line(text: str, x0: float, y0: float, x1: float) -> Line:
        return Line((), x0, y0, x1, y0 + 10, 10.0, text=text)

    def found(lines: list[Line], groups: list[list[int]], drawn: list[Box], known: Sequence[Box] = ()) -> list[Region]:
        return uncaptioned_drawings(lines, groups, drawn, known, 600, 800)

    strokes = [(100.0 + 10 * at, 100.0, 109.0 + 10 * at, 200.0) for at in range(20)]
    label = line("Tonnes", 150, 205, 190)
    long = line("A sentence that goes on and on and says what the mill ground.", 120, 150, 290)
    [region] = found([label], [[0]], strokes)
    assert (region.caption, region.inside) == ((), (0,)) and region.box[3] >= 215
    assert found([label, long], [[0], [1]], strokes) == []
    assert found([label], [[0]], strokes[:11]) == []
    assert found([label], [[0]], strokes, [(90.0, 90.0, 310.0, 210.0)]) == []
    lower = [(x0, 300.0, x1, 400.0) for x0, _, x1, _ in strokes]
    [alone] = found([long, line("of the year.", 150, 205, 190)], [[0, 1]], lower)
    assert alone.inside == ()


def test_a_label_between_two_drawings_belongs_to_one() -> None:
    strokes = [(left + 10.0 * at, 100.0, left + 10.0 * at + 9, 200.0) for left in (100, 320) for at in range(15)]
    between = Line((), 262, 140, 308, 150, 10.0, text="Tonnes")
    found = uncaptioned_drawings([between], [[0]], strokes, [], 600, 800)
    assert sorted(one.inside for one in found) == [(), (0,)]


def test_a_drawing_on_every_page_is_kept_once(tmp_path: Path) -> None:
    logo = b"".join(b"%d 600 6 120 re f\n" % (300 + 9 * at) for at in range(14))
    path = tmp_path / "report.pdf"
    texts = [(72, 500 - 10 * at, 11, f"Page {at} of the mill's report says what was ground.") for at in range(3)]
    path.write_bytes(write_pdf([PdfPage([text], content=logo) for text in texts]))
    [document] = pdf_document.load(path, lambda: None)
    assert [picture.page for picture in document.pictures] == [1]


def test_it_is_a_chunk_of_its_own(read: Document) -> None:
    chunks = chunk(read, "report.pdf", lambda texts: [len(text.split()) for text in texts], 256)
    [figure] = [one for one in chunks if one.modality is Modality.IMAGE]
    assert figure.text.startswith(CAPTION_TEXT)
    assert figure.locator.boxes == (read.pictures[0].box,) and figure.locator.page == 1
    assert all(read.text[one.locator.char_start : one.locator.char_end] == one.text for one in chunks)
    assert not any(CAPTION_TEXT in one.text for one in chunks if one is not figure)


def test_a_photograph_without_a_caption_is_kept_once_and_a_background_is_none(tmp_path: Path) -> None:
    import numpy as np
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    photo, paper, stamp = (rng.random((60, 80, 3)) for _ in range(3))
    middle, whole, corner = (0.3, 0.5, 0.4, 0.2), (0, 0, 1, 1), (0.1, 0.1, 0.05, 0.04)
    pages = ("first", middle, photo), ("again", middle, photo), ("paper", whole, paper), ("stamp", corner, stamp)
    with PdfPages(tmp_path / "album.pdf") as album:
        for name, place, pixels in pages:
            page = Figure(figsize=(8.3, 11.7))
            axes = page.add_axes(place)
            axes.axis("off")
            axes.imshow(pixels, aspect="auto")
            page.text(0.2, 0.8, f"The {name} page of the album says little more than this.", fontsize=11)
            FigureCanvasPdf(page)
            album.savefig(page)
    [document] = pdf_document.load(tmp_path / "album.pdf", lambda: None)
    [picture] = document.pictures
    assert picture.page == 1 and picture.box == pytest.approx((0.3, 0.3, 0.7, 0.5), abs=0.01)
    [shown] = chunks_of(document, Modality.IMAGE)
    assert shown.text == "" and shown.locator.page == 1 and shown.locator.boxes == (picture.box,)


@pytest.mark.parametrize("text", [
    "Figure 3: The wheel", "Fig. 3. The wheel", "FIGURE 12 The Wheel", "Fig 2a: left", "Exhibit A1. Costs",
    "Figure 1.4 – Depth", "Abbildung 3: Rad", "Figure 7",
])  # fmt: skip
def test_captions(text: str) -> None:
    assert FIGURE_CAPTION.match(text)


@pytest.mark.parametrize("text", [
    "Figure 3 shows the wheel", "Figures are rounded.", "Map reading is hard", "Figure it out",
    "See Figure 3: it is round", "Photo credits",
])  # fmt: skip
def test_mentions_are_no_captions(text: str) -> None:
    assert not FIGURE_CAPTION.match(text)


SIDES = st.tuples(st.floats(0, 550), st.floats(0, 550)).map(sorted)


@given(st.lists(st.tuples(SIDES, SIDES).map(lambda sides: tuple(zip(*sides, strict=True))), max_size=12))
def test_what_is_drawn_lies_in_one_region_and_regions_do_not_touch(corners: list[tuple[tuple, tuple]]) -> None:
    boxes = [(*low, *high) for low, high in corners]
    found = list(joined(boxes, 595, 842))
    for x0, y0, x1, y1 in boxes:
        assert sum(a <= x0 and x1 <= c and b <= y0 and y1 <= d for a, b, c, d in found) >= 1
    assert len(found) <= len(boxes) and all(c - a >= CELL - 1e-6 and d - b >= CELL - 1e-6 for a, b, c, d in found)


def test_words_on_a_picture_of_a_page_have_their_boxes_there(tmp_path: Path) -> None:
    """A chart that was pasted as pixels: its words are read, and stand where they are seen."""
    import numpy as np
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    from vision.training.rendered.sheet import Sheet

    sheet = Sheet(800, 400)
    sheet.write("Flour in tonnes", 60, 40, 36)
    sheet.write("Barley", 500, 300, 36)
    page = Figure(figsize=(8.3, 11.7))
    axes = page.add_axes(PLACE)
    axes.axis("off")
    axes.imshow(np.asarray(sheet.picture()), aspect="auto")
    page.text(0.2, 0.52, CAPTION_TEXT, fontsize=11)
    FigureCanvasPdf(page).print_pdf(tmp_path / "pasted.pdf")
    [document] = pdf_document.load(tmp_path / "pasted.pdf", lambda: None)
    [block] = [block for block in document.blocks if block.kind is BlockKind.FIGURE]
    text = document.text[block.start : block.end]
    assert text.startswith(CAPTION_TEXT + "\n\n") and "Flour in tonnes" in text and "Barley" in text.split()
    words = document.pages[0].words
    at = [document.text[start:end] for start, end in zip(words.starts, words.ends, strict=True)].index("Barley")
    x0, y0, x1, y1 = words.boxes[at]
    left, bottom, width, height = PLACE
    assert left + 0.6 * width < x0 < x1 < left + 0.95 * width and 1 - bottom - 0.35 * height < y0 < y1 < 1 - bottom
