"""Pictures inside documents: found, with what is said of them, and never from outside."""

from __future__ import annotations

import base64
import io
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from indexing.chunking import chunk
from indexing.loaders import load
from indexing.types import BlockKind, Chunk, Document, Modality

CAPTION = "Figure 2: The wheel from the east"
ALT = "a drawing of the mill wheel"


def png(colour: str = "teal", size: tuple[int, int] = (240, 160)) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse((20, 20, size[0] - 20, size[1] - 20), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def docx(path: Path) -> None:
    from docx import Document as Docx

    made = Docx()
    made.add_heading("The wheel", 1)
    made.add_paragraph("Before the picture.")
    made.add_picture(io.BytesIO(png()))
    made.inline_shapes[0]._inline.docPr.set("descr", ALT)
    made.add_paragraph(CAPTION, style="Caption")
    made.add_paragraph("After the picture.")
    made.save(str(path))


def pptx(path: Path) -> None:
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "The wheel"
    shape = slide.shapes.add_picture(io.BytesIO(png()), Inches(1), Inches(2), Inches(3), Inches(2))
    shape._element.nvPicPr.cNvPr.set("descr", ALT)
    deck.save(str(path))


def html(path: Path) -> None:
    (path.parent / "wheel.png").write_bytes(png())
    figure = f'<figure><img src="wheel.png" alt="{ALT}"><figcaption>{CAPTION}</figcaption></figure>'
    path.write_text(f"<h1>The wheel</h1><p>Before.</p>{figure}<p>After.</p>")


def markdown(path: Path) -> None:
    (path.parent / "wheel.png").write_bytes(png())
    path.write_text(f"# The wheel\n\nBefore.\n\n![{ALT}](wheel.png)\n\nAfter.\n")


def ipynb(path: Path) -> None:
    import nbformat

    data = {"image/png": base64.b64encode(png()).decode(), "text/plain": "<Figure>"}
    cell = nbformat.v4.new_code_cell("plot()", outputs=[nbformat.v4.new_output("display_data", data)])
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# The wheel"), cell]), path)


def epub(path: Path) -> None:
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    item = '<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>'
    package = f'<package><manifest>{item}</manifest><spine><itemref idref="a"/></spine></package>'
    body = f'<h1>The wheel</h1><p>Before.</p><img src="../img/wheel.png" alt="{ALT}"/>'
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", container)
        book.writestr("OPS/book.opf", package)
        book.writestr("OPS/text/a.xhtml", f"<html><body>{body}</body></html>")
        book.writestr("OPS/img/wheel.png", png())


def eml(path: Path) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "The wheel"
    picture = f'<img src="cid:wheel@mill" alt="{ALT}">'
    message.set_content(f"<h1>The wheel</h1><p>Before.</p>{picture}<p>After.</p>", subtype="html")
    message.add_related(png(), maintype="image", subtype="png", cid="<wheel@mill>")
    path.write_bytes(bytes(message))


MADE = {"docx": docx, "pptx": pptx, "html": html, "md": markdown, "ipynb": ipynb, "epub": epub, "eml": eml}
BOTH = f"{CAPTION}\n\n{ALT}"
SAID = {"docx": BOTH, "eml": ALT, "html": BOTH, "pptx": ALT, "md": ALT, "epub": ALT, "ipynb": ""}


def read(path: Path) -> tuple[Document, list[Chunk]]:
    [document] = load(path)
    return document, chunk(document, "it", lambda texts: [len(text.split()) for text in texts], 256)


@pytest.mark.parametrize("suffix", MADE)
def test_a_picture_is_found_with_what_is_said_of_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"about.{suffix}"
    MADE[suffix](path)
    document, chunks = read(path)
    [picture], [shown] = document.pictures, [one for one in chunks if one.modality is Modality.IMAGE]
    block = document.blocks[picture.block]
    assert block.kind is BlockKind.FIGURE and shown.picture == 0
    assert shown.text == document.text[block.start : block.end] == SAID[suffix]
    assert "The wheel" in shown.headings
    assert (picture.width, picture.height) == (240, 160)
    assert Image.open(io.BytesIO(picture.preview)).size == (240, 160)
    assert document.text.count(ALT) == (ALT in SAID[suffix])
    assert document.text.count(CAPTION) == (CAPTION in SAID[suffix])
    assert all(document.text[one.locator.char_start : one.locator.char_end] == one.text for one in chunks)


def test_pictures_in_the_cells_of_a_table_follow_its_rows(tmp_path: Path) -> None:
    from docx import Document as Docx

    made = Docx()
    table = made.add_table(2, 2)
    for at, colour in enumerate(("teal", "brown")):
        table.cell(0, at).paragraphs[0].add_run().add_picture(io.BytesIO(png(colour)))
        table.cell(1, at).text = f"The wheel in {1786 + at}"
    made.save(str(tmp_path / "a.docx"))
    document, _ = read(tmp_path / "a.docx")
    assert len(document.pictures) == 2 and document.text.count("The wheel in 1787") == 1


def test_a_picture_that_is_attached_goes_by_its_name(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "s"
    message.set_content("See the picture.")
    message.add_attachment(png(), maintype="image", subtype="png", filename="old wheel.png")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    document, chunks = read(tmp_path / "a.eml")
    [shown] = [one for one in chunks if one.modality is Modality.IMAGE]
    assert shown.text == "old wheel.png" and len(document.pictures) == 1


def test_pictures_laid_over_a_sheet_stand_on_its_page(tmp_path: Path) -> None:
    import openpyxl
    from openpyxl.drawing.image import Image as Laid

    book = openpyxl.Workbook()
    for number, sheet in enumerate((book.active, book.create_sheet("Wheels"), book.create_sheet("Empty"))):
        sheet.append(["Year", "Turns"])
        sheet.append([1786 + number, 9])
    for colour in ("teal", "brown"):
        book["Wheels"].add_image(Laid(io.BytesIO(png(colour))), "D4")
    book.save(tmp_path / "a.xlsx")
    document, _ = read(tmp_path / "a.xlsx")
    assert [(picture.page, picture.width) for picture in document.pictures] == [(2, 240), (2, 240)]
    assert "1787 | 9" in document.text and "1788 | 9" in document.text


def test_a_slide_says_where_its_picture_is(tmp_path: Path) -> None:
    pptx(tmp_path / "a.pptx")
    document, [*_, shown] = read(tmp_path / "a.pptx")
    assert document.pictures[0].box == pytest.approx((0.1, 2 / 7.5, 0.4, 4 / 7.5), abs=0.01)
    assert shown.locator.boxes == (document.pictures[0].box,) and shown.locator.page == 1


def test_words_on_a_picture_are_read(tmp_path: Path) -> None:
    from vision.training.rendered.sheet import Sheet

    sheet = Sheet(500, 200)
    sheet.write("Sluice keeper", 40, 60, 40)
    buffer = io.BytesIO()
    sheet.picture().save(buffer, "PNG")
    path = tmp_path / "a.html"
    path.write_text(f'<p>Text.</p><img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">')
    document, _ = read(path)
    block = document.blocks[document.pictures[0].block]
    assert "Sluice keeper" in document.text[block.start : block.end]


@pytest.mark.parametrize("source", [
    "http://127.0.0.1:9/a.png", "file:///etc/a.png", "/etc/a.png", "../../outside.png", "//host/a.png", "missing.png",
    "broken.png", "tiny.png",
])  # fmt: skip
def test_what_is_elsewhere_damaged_or_tiny_is_left_alone(tmp_path: Path, source: str) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(png())
    (inner / "broken.png").write_bytes(png()[:200])
    (inner / "tiny.png").write_bytes(png(size=(60, 45)))
    html, markdown = f'<p>One <img src="{source}" alt="word"> more.</p>', f"One ![word]({source}) more.\n"
    for name, text in (("a.html", html), ("a.md", markdown)):
        (inner / name).write_text(text)
        document, chunks = read(inner / name)
        assert not document.pictures and len(chunks) == 1 and "word" in chunks[0].text


def test_a_picture_that_comes_back_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(png())
    (tmp_path / "a.md").write_text("# One\n\n![](logo.png)\n\n# Two\n\n![](logo.png)\n")
    document, chunks = read(tmp_path / "a.md")
    assert len(document.pictures) == 1 and sum(one.modality is Modality.IMAGE for one in chunks) == 1


def texts(path: Path) -> list[tuple[str, str]]:
    document, _ = read(path)
    return [(block.kind.value, document.text[block.start : block.end]) for block in document.blocks]


def test_pictures_that_look_alike_are_chunks_of_their_own(tmp_path: Path) -> None:
    for name, side in (("a", 400), ("b", 800)):
        Image.new("RGB", (side, side), "white").save(tmp_path / f"{name}.png")
    (tmp_path / "two.html").write_text('<p>Text.</p><img src="a.png"><img src="b.png">')
    _, chunks = read(tmp_path / "two.html")
    assert len({one.id for one in chunks}) == len(chunks) == 3


def test_text_around_a_picture_is_neither_lost_nor_torn(tmp_path: Path) -> None:
    (tmp_path / "wheel.png").write_bytes(png())
    Image.new("RGB", (16, 16), "red").save(tmp_path / "icon.png")
    icon, wheel = '<img src="icon.png" alt="gear">', '<img src="wheel.png" alt="the wheel">'
    page = tmp_path / "a.html"
    page.write_text(f"<p>Press the {icon} button, {wheel} then wait.</p>")
    assert texts(page) == [("paragraph", "Press the gear button, then wait."), ("figure", "the wheel")]
    page.write_text(f"<figure>{wheel}<p>Inside the figure.</p><figcaption>Cap one</figcaption></figure>")
    assert texts(page) == [("figure", "Cap one\n\nthe wheel"), ("paragraph", "Inside the figure.")]
    page.write_text(f"<figure><figcaption>Cap above</figcaption>{wheel}</figure>")
    assert texts(page) == [("paragraph", "Cap above"), ("figure", "the wheel")]
    page.write_text(f"<figure>{icon}{wheel}<figcaption>Cap both</figcaption></figure>")
    assert texts(page) == [("paragraph", "gear"), ("figure", "the wheel"), ("paragraph", "Cap both")]
    notes = tmp_path / "a.md"
    notes.write_text("![Diagram](wheel.png) The boiler is serviced every spring (see manual)\n")
    assert [text for _, text in texts(notes)] == [notes.read_text().strip(), ""]


def test_a_damaged_picture_costs_no_book(tmp_path: Path) -> None:
    epub(tmp_path / "a.epub")
    data = bytearray((tmp_path / "a.epub").read_bytes())
    at = data.rindex(b"IDAT") + 30
    data[at] ^= 255
    (tmp_path / "a.epub").write_bytes(data)
    assert ("paragraph", "Before.") in texts(tmp_path / "a.epub")


def test_what_a_cell_says_beside_its_picture_is_kept(tmp_path: Path) -> None:
    import nbformat

    said = {"image/png": base64.b64encode(png()).decode(), "text/plain": "The plain answer is forty-two"}
    cell = nbformat.v4.new_code_cell("plot()", outputs=[nbformat.v4.new_output("display_data", said)])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    assert [text for _, text in texts(tmp_path / "a.ipynb")] == ["plot()", "", "The plain answer is forty-two"]


def test_no_picture_is_read_by_an_absolute_path_in_disguise(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "wheel.png").write_bytes(png())
    source = f"{tmp_path}/wheel.png".replace("/", "%2F", 1)
    (tmp_path / "docs" / "a.html").write_text(f'<p>x</p><img src="{source}">')
    assert not read(tmp_path / "docs" / "a.html")[0].pictures
