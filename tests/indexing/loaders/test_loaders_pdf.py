"""PDF: words, boxes, reading order, paragraphs, OCR of scans, and what a file can have wrong."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from indexing.loaders import load
from indexing.types import BlockKind, Document, LoadError
from tests.indexing.checks import check, kinds, parts
from tests.indexing.pdf_files import PdfPage, lines, write_pdf

PROSE = [
    "The glacier moves about forty metres in a year and carries",
    "stones that it has broken from the valley's walls. Where it",
    "ends, they are left in long ridges which later rivers cut.",
]
LEFT = [f"left column line {i} tells of rivers and stones" for i in range(9)]
RIGHT = [f"right column line {i} tells of clouds and wind" for i in range(9)]


def read(tmp_path: Path, pages: list[PdfPage], title: str = "") -> Document:
    path = tmp_path / "file.pdf"
    path.write_bytes(write_pdf(pages, title))
    (document,) = load(path)
    check(document)
    return document


def box_of(document: Document, word: str, page: int = 0) -> np.ndarray:
    words = document.pages[page].words
    found = [b for s, e, b in zip(words.starts, words.ends, words.boxes, strict=True) if document.text[s:e] == word]
    assert len(found) == 1, f"{word!r} stands {len(found)} times in {document.text!r}"
    return found[0]


def test_words_stand_where_they_were_set(tmp_path: Path) -> None:
    document = read(tmp_path, [PdfPage([(100, 700, 20, "alpha omega")])])
    x0, y0, x1, y1 = box_of(document, "alpha")
    assert x0 * 612 == pytest.approx(100, abs=1)
    assert (1 - y1) * 792 == pytest.approx(700 - 0.21 * 20, abs=1)  # a little under the base line
    assert (1 - y0) * 792 == pytest.approx(700 + 0.72 * 20, abs=1.5)
    assert x1 < box_of(document, "omega")[0]
    assert document.pages[0].words.confidence is None


@pytest.mark.parametrize(("rotate", "place"), [(90, (700, 100)), (180, (512, 700)), (270, (92, 512))])
def test_boxes_follow_the_page_as_it_is_shown(tmp_path: Path, rotate: int, place: tuple[int, int]) -> None:
    """The text begins at (100, 700) of an upright sheet; `place` is where turning brings that point, from top left."""
    document = read(tmp_path, [PdfPage([(100, 700, 20, "turned")], rotate=rotate)])
    page = document.pages[0]
    assert (page.width, page.height) == ((792, 612) if rotate != 180 else (612, 792))
    x0, y0, x1, y1 = box_of(document, "turned") * [page.width, page.height, page.width, page.height]
    assert x0 - 5 <= place[0] <= x1 + 5 and y0 - 5 <= place[1] <= y1 + 5


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_boxes_hold_the_ink_of_the_rendered_page(tmp_path: Path, rotate: int) -> None:
    from vision.pages import crop, render_pdf_page

    page = PdfPage([(150, 500, 24, "inkwell")], rotate=rotate, crop=(100, 300, 500, 700))
    document = read(tmp_path, [page])
    image = render_pdf_page(tmp_path / "file.pdf", 1, longest=800).convert("L")
    box = tuple(box_of(document, "inkwell"))
    ink = np.count_nonzero(np.asarray(image) < 128)
    assert ink > 100
    assert np.count_nonzero(np.asarray(crop(image, box, 0.002)) < 128) == ink
    assert (box[2] - box[0]) * (box[3] - box[1]) < 0.02


def test_words_outside_the_crop_box_are_not_read(tmp_path: Path) -> None:
    document = read(tmp_path, [PdfPage([(150, 500, 12, "inside"), (20, 20, 12, "outside")], crop=(100, 300, 500, 700))])
    assert document.text == "inside"


def test_lines_make_paragraphs_and_larger_print_a_heading(tmp_path: Path) -> None:
    items = [(72, 720, 20, "Of Glaciers"), *lines(72, 690, 11, PROSE), *lines(72, 630, 11, PROSE)]
    document = read(tmp_path, [PdfPage(items)])
    prose = "\n".join(PROSE)
    assert kinds(document) == [("heading", "Of Glaciers"), ("paragraph", prose), ("paragraph", prose)]
    assert document.blocks[0].level == 1
    assert document.title == "Of Glaciers"


def test_first_line_indents_and_bullets_begin_paragraphs(tmp_path: Path) -> None:
    texts = [
        *lines(72, 700, 11, PROSE),
        (90, 700 - 3 * 13.2, 11, "New thought, told in a line that is indented and goes on,"),
    ]
    texts += [
        (72, 700 - 4 * 13.2, 11, "and here is more of it."),
        (72, 700 - 5 * 13.2, 11, "• a point"),
        (72, 700 - 6 * 13.2, 11, "• another"),
    ]
    document = read(tmp_path, [PdfPage(texts)])
    assert [part.split()[0] for part in parts(document)] == ["The", "New", "•", "•"]


def test_metadata_title_is_used_where_sensible(tmp_path: Path) -> None:
    page = PdfPage([(72, 720, 20, "The Heading"), *lines(72, 690, 11, PROSE)])
    assert read(tmp_path, [page], "On Ice and Stone").title == "On Ice and Stone"
    assert read(tmp_path, [page], "Microsoft Word - draft3.doc").title == "The Heading"


@pytest.mark.parametrize("interleaved", [False, True])
def test_two_columns_are_read_one_after_the_other(tmp_path: Path, interleaved: bool) -> None:
    left, right = lines(60, 650, 10, LEFT), lines(320, 650, 10, RIGHT)
    body = [item for pair in zip(left, right, strict=True) for item in pair] if interleaved else left + right
    title = (60, 700, 18, "A title that stands over both of the columns of it")
    document = read(tmp_path, [PdfPage([title, *body])])
    order = [line for part in parts(document) for line in part.split("\n")]
    assert order == [title[3], *LEFT, *RIGHT]


def test_table_rows_are_not_taken_for_columns(tmp_path: Path) -> None:
    items = []
    for i in range(10):
        y = 700 - 13 * i
        items += [(60, y, 10, f"item {i}"), (300, y, 10, f"{i * 7}"), (400, y, 10, f"{i * 9}")]
    document = read(tmp_path, [PdfPage(items)])
    assert document.text.split("\n")[3] == "item 3 | 21 | 27"


def test_running_headers_are_kept_once_and_page_breaks_hold(tmp_path: Path) -> None:
    def page(number: int) -> PdfPage:
        return PdfPage(
            [
                (200, 770, 9, "Annual Report of the Survey"),
                *lines(72, 690, 11, PROSE),
                (300, 30, 9, f"Page {number} of 4"),
            ]
        )

    document = read(tmp_path, [page(n) for n in range(1, 5)])
    assert document.text.count("Annual Report of the Survey") == 1
    assert document.text.count("Page ") == 1
    assert document.text.count("glacier") == 4
    assert [page.number for page in document.pages] == [1, 2, 3, 4]


def test_a_lone_number_at_the_end_of_a_page_is_not_a_page_number(tmp_path: Path) -> None:
    pages = [PdfPage([*lines(72, 690, 11, PROSE), (300, 30, 9, str(n))]) for n in range(1, 4)]
    pages[1].items = [*pages[1].items, (72, 60, 11, "01876")]
    assert "01876" in read(tmp_path, pages).text


def test_a_hyphen_at_the_line_end_reads_as_one(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        [
            PdfPage(
                lines(72, 700, 11, ["a word is broken at the end, see experi-", "ments that follow it and more of it"])
            )
        ],
    )
    assert "experi-\nments" in document.text


def test_spaces_that_are_only_gaps_part_words(tmp_path: Path) -> None:
    content = b"BT /F 12 Tf 72 700 Td [(To) -200 (Protect) -200 (it)] TJ ET"
    assert read(tmp_path, [PdfPage(content=content)]).text == "To Protect it"


def test_unreadably_small_machine_marks_are_not_text(tmp_path: Path) -> None:
    assert (
        read(tmp_path, [PdfPage([(72, 700, 0.5, "_cdfd5e22-e3a0"), (72, 600, 12, "seen by people")])]).text
        == "seen by people"
    )


def test_a_raised_number_stays_with_its_word(tmp_path: Path) -> None:
    document = read(
        tmp_path, [PdfPage([(72, 700, 12, "Hart"), (94.8, 704, 7, "1"), (99.2, 700, 12, ", Sims and others")])]
    )
    assert document.text == "Hart1, Sims and others"


def scan(text: str) -> PdfPage:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(image).text((60, 120), text, fill="black", font=ImageFont.load_default(48))
    data = io.BytesIO()
    image.save(data, "JPEG")
    return PdfPage(image=data.getvalue(), image_size=image.size, width=450, height=150)


def test_a_scanned_page_is_read_by_ocr_with_boxes(tmp_path: Path) -> None:
    called = []
    path = tmp_path / "scan.pdf"
    path.write_bytes(write_pdf([scan("Invoice total 4711"), PdfPage()]))
    (document,) = load(path, lambda: called.append(1))
    check(document)
    assert document.text.split() == ["Invoice", "total", "4711"]
    assert box_of(document, "Invoice")[0] == pytest.approx(60 / 900, abs=0.02)
    assert box_of(document, "4711")[1] == pytest.approx(130 / 300, abs=0.06)
    assert document.pages[0].words.confidence.min() > 0.8
    assert document.pages[1].words is None
    assert len(called) >= 2


def test_a_text_layer_is_preferred_to_ocr(tmp_path: Path) -> None:
    page = scan("seen in the picture")
    page.items = [(20, 20, 8, "said by the text layer")]
    assert read(tmp_path, [page]).text == "said by the text layer"


def test_encrypted(tmp_path: Path) -> None:
    """An encryption dictionary with an owner's hash that no empty password opens (standard handler, revision 2)."""
    plain = write_pdf([PdfPage([(72, 700, 12, "secret")])])
    handler = (
        b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <"
        + b"5a" * 32
        + b"> /U <"
        + b"a5" * 32
        + b"> >> /ID [<00> <00>] "
    )
    path = tmp_path / "locked.pdf"
    path.write_bytes(plain.replace(b"/Info 3 0 R", b"/Info 3 0 R " + handler))
    with pytest.raises(LoadError, match="encrypted PDF: needs a password"):
        list(load(path))


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.4 garbage" + bytes(range(256))])
def test_damaged(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    with pytest.raises(LoadError, match="not a readable PDF"):
        list(load(path))


def test_blocks_carry_kinds_that_the_chunker_knows(tmp_path: Path) -> None:
    document = read(tmp_path, [PdfPage([(72, 700, 12, "plain words only")])])
    assert {block.kind for block in document.blocks} == {BlockKind.PARAGRAPH}
