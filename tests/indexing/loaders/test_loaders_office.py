"""Office files, books, mail and notebooks, written by the libraries that people's programs use."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from indexing.loaders import load
from indexing.types import Document, LoadError
from tests.indexing.checks import check, kinds


def read(path: Path) -> Document:
    (document,) = load(path)
    check(document)
    return document


def test_docx_in_the_order_of_the_body(tmp_path: Path) -> None:
    import docx

    file = docx.Document()
    file.add_heading("The Report", 0)
    file.add_heading("Findings", 1)
    file.add_paragraph("First words.").add_run(" And more.").bold = True
    file.add_paragraph("a point", style="List Bullet")
    table = file.add_table(rows=3, cols=3)
    for row, texts in zip(
        table.rows, [["Name", "Size", "Place"], ["one", "1", "here"], ["two", "2", "there"]], strict=True
    ):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0)).text = "both"
    file.add_paragraph("Last words.")
    file.save(tmp_path / "a.docx")
    document = read(tmp_path / "a.docx")
    assert document.title == "The Report"
    assert kinds(document) == [
        ("heading", "The Report"),
        ("heading", "Findings"),
        ("paragraph", "First words. And more."),
        ("paragraph", "- a point"),
        ("header", "Name | Size | Place"),
        ("row", "both | 1 | here"),
        ("row", "both | 2 | there"),
        ("paragraph", "Last words."),
    ]


def test_docx_tracked_changes_links_and_boxes(tmp_path: Path) -> None:
    import docx
    from docx.oxml import parse_xml

    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    file = docx.Document()
    file.add_paragraph("x")._p.addprevious(
        parse_xml(
            f"<w:p {w}><w:r><w:t xml:space='preserve'>kept </w:t></w:r><w:ins><w:r><w:t>added</w:t></w:r></w:ins>"
            f"<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>away</w:t></w:r></w:moveFrom>"
            f"<w:hyperlink><w:r><w:t xml:space='preserve'> linked</w:t></w:r></w:hyperlink></w:p>"
        )
    )
    file.save(tmp_path / "a.docx")
    assert [text for _, text in kinds(read(tmp_path / "a.docx"))] == ["kept added linked", "x"]


def test_docx_headers_and_footers_once_and_only_those_that_are_shown(tmp_path: Path) -> None:
    import docx
    from docx.shared import Cm

    file = docx.Document()
    file.add_heading("Survey", 1)
    first = file.sections[0]
    first.header.paragraphs[0].text = "Accident 4711, Madill"
    first.header.add_table(1, 2, Cm(9)).cell(0, 1).text = "Draft"
    first.footer.paragraphs[0].text = "Mill Trust"
    first.first_page_header.paragraphs[0].text = "First page"  # which only the third section has
    first.even_page_footer.paragraphs[0].text = "Even pages"
    file.add_paragraph("One.")
    file.add_section()  # linked to the one before
    file.add_paragraph("Two.")
    third = file.add_section()
    third.header.is_linked_to_previous = False
    third.header.paragraphs[0].text = "Annex"
    third.different_first_page_header_footer = True
    file.add_paragraph("Three.")
    file.save(tmp_path / "a.docx")
    body = [("heading", "Survey"), ("paragraph", "One."), ("paragraph", "Two."), ("paragraph", "Three.")]
    above = ["Accident 4711, Madill", "Draft", "Mill Trust", "Annex", "First page"]
    document = read(tmp_path / "a.docx")
    assert kinds(document) == [("paragraph", text) for text in above] + body
    assert document.title == "Survey"
    file.settings.odd_and_even_pages_header_footer = True
    file.save(tmp_path / "b.docx")
    assert ("paragraph", "Even pages") in kinds(read(tmp_path / "b.docx"))


def test_docx_notes_follow_the_body_and_text_boxes_their_paragraph(tmp_path: Path) -> None:
    import docx
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part
    from docx.oxml import parse_xml

    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    box = "<w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent>"
    twice = f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    file = docx.Document()
    first = f"<w:p {w} {mc}><w:r><w:t>First.</w:t></w:r><w:r>{twice}</w:r></w:p>"
    file.add_paragraph("Last.")._p.addprevious(parse_xml(first))
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    for kind in ("footnotes", "endnotes"):
        note = f"<w:footnote><w:p><w:r><w:t>of the {kind}</w:t></w:r><w:r>{twice}</w:r></w:p></w:footnote>"
        notes = f"<w:{kind} {w} {mc}>{note}</w:{kind}>".encode()
        content_type = f"application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}+xml"
        part = Part(PackURI(f"/word/{kind}.xml"), content_type, notes, file.part.package)
        file.part.relate_to(part, f"{relations}/{kind}")
    file.save(tmp_path / "a.docx")
    assert [text for _, text in kinds(read(tmp_path / "a.docx"))] == [
        "First.", "in a box", "Last.", "of the footnotes", "in a box", "of the endnotes", "in a box",
    ]


def test_pptx_pages_tables_and_notes(tmp_path: Path) -> None:
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Quarter"
    slide.placeholders[1].text = "Sales rose\nCosts fell"
    slide.notes_slide.notes_text_frame.text = "say thanks"
    second = deck.slides.add_slide(deck.slide_layouts[6])
    table = second.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for i, text in enumerate(["k", "v", "a", "1"]):
        table.cell(i // 2, i % 2).text = text
    second.shapes.add_textbox(Inches(1), Inches(0.5), Inches(3), Inches(1)).text_frame.text = "above"
    deck.save(tmp_path / "a.pptx")
    document = read(tmp_path / "a.pptx")
    expected = [
        ("heading", "Quarter"),
        ("paragraph", "Sales rose"),
        ("paragraph", "Costs fell"),
        ("paragraph", "Notes: say thanks"),
    ]
    assert kinds(document) == [*expected, ("paragraph", "above"), ("header", "k | v"), ("row", "a | 1")]
    assert [page.number for page in document.pages] == [1, 2]
    assert document.text[document.pages[1].start :].startswith("above")


def test_xlsx_values_as_people_write_them(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.title = "Sums"
    sheet.append([])
    sheet.append(["Report of May"])
    sheet.append(["day", "count", "share", "rate", "ok"])
    sheet.append([dt.datetime(2024, 5, 1), 12.0, 0.35, 0.1 + 0.2, True])
    sheet.append([dt.datetime(2024, 5, 1, 14, 30), 1000000, None, 1e-7, False])
    sheet["C4"].number_format = "0%"
    book.create_sheet("Empty")
    book.save(tmp_path / "a.xlsx")
    document = read(tmp_path / "a.xlsx")
    assert kinds(document) == [
        ("paragraph", "Report of May"),
        ("header", "day | count | share | rate | ok"),
        ("row", "2024-05-01 | 12 | 35% | 0.3 | TRUE"),
        ("row", "2024-05-01 14:30 | 1000000 |  | 1e-07 | FALSE"),
    ]
    assert [page.label for page in document.pages] == ["Sums", "Empty"]


def test_epub_follows_the_spine(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    container = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
      <rootfiles><rootfile full-path="O/p.opf"/></rootfiles></container>"""
    package = """<package xmlns="http://www.idpf.org/2007/opf">
      <metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A Book</dc:title></metadata>
      <manifest><item id="b" href="b%20b.xhtml" media-type="application/xhtml+xml"/>
      <item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>
      <item id="n" href="n.xhtml" properties="nav" media-type="application/xhtml+xml"/></manifest>
      <spine><itemref idref="n"/><itemref idref="b"/><itemref idref="a"/></spine></package>"""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", container)
        book.writestr("O/p.opf", package)
        book.writestr("O/n.xhtml", "<html><body>contents</body></html>")
        book.writestr(
            "O/a.xhtml", "<!DOCTYPE html><html><head><title>t</title></head><body><p>then this</p></body></html>"
        )
        book.writestr("O/b b.xhtml", "<html><body><h1>One</h1><p>first this</p></body></html>")
    document = read(path)
    assert document.title == "A Book"
    assert kinds(document) == [("heading", "One"), ("paragraph", "first this"), ("paragraph", "then this")]


def test_mail_prefers_plain_text_and_names_attachments(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Änne <a@example.org>", "b@example.org", "Größe"
    message.set_content("First.\n\nSecond line\nof two.\n")
    message.add_alternative("<p>in html</p>", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="plan.pdf")
    path = tmp_path / "a.eml"
    path.write_bytes(bytes(message))
    document = read(path)
    assert document.title == "Größe"
    texts = [text for _, text in kinds(document)]
    assert texts == [
        "From: Änne <a@example.org>\nTo: b@example.org\nSubject: Größe",
        "First.",
        "Second line\nof two.",
        "Attachments: plan.pdf",
    ]


def test_mail_of_html_only(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "s"
    message.set_content("<h1>Hi</h1><p>there<script>x</script></p>", subtype="html")
    path = tmp_path / "saved-mail"
    path.write_bytes(b"Date: Mon, 1 Jan 2024 10:00:00 +0000\n" + bytes(message))
    assert [text for _, text in kinds(read(path))][1:] == ["Hi", "there"]


def test_notebook(tmp_path: Path) -> None:
    import nbformat.v4 as nb

    output = nb.new_output("stream", text="\x1b[31m42\x1b[0m\n")
    cells = [
        nb.new_markdown_cell("# Title\n\nwords\n\n|a|b|\n|-|-|\n|1|2|"),
        nb.new_code_cell("print(42)", outputs=[output]),
    ]
    cells += [nb.new_markdown_cell("no heading"), nb.new_markdown_cell("## Later")]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(nb.new_notebook(cells=cells)))
    document = read(path)
    assert document.title == "Title"
    assert kinds(document) == [
        ("heading", "Title"),
        ("paragraph", "words"),
        ("header", "a | b"),
        ("row", "1 | 2"),
        ("code", "print(42)"),
        ("code", "42"),
        ("paragraph", "no heading"),
        ("heading", "Later"),
    ]


def bomb(path: Path, member: str, size: int) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(member, "w") as file,
    ):
        for _ in range(size >> 20):
            file.write(b"\0" * (1 << 20))


@pytest.mark.parametrize(
    ("member", "size", "reason"),
    [("word/document.xml", 64 << 20, "zip bomb"), ("xl/workbook.xml", 512 << 20, "over the limit of 500 MB")],
)
def test_zip_bombs_are_refused_before_they_are_unpacked(tmp_path: Path, member: str, size: int, reason: str) -> None:
    bomb(tmp_path / "a.docx", member, size)
    with pytest.raises(LoadError, match=reason):
        list(load(tmp_path / "a.docx"))


def test_a_member_that_lies_about_its_size_is_not_read_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", b" " * (8 << 20))
    data = path.read_bytes()
    path.write_bytes(data.replace((8 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(LoadError):
        list(load(path))


def test_entity_bombs_are_refused(tmp_path: Path) -> None:
    import docx

    docx.Document().save(tmp_path / "plain.docx")
    with zipfile.ZipFile(tmp_path / "plain.docx") as source, zipfile.ZipFile(tmp_path / "a.docx", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "word/document.xml":
                data = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaa">]>' + data.split(b"?>", 1)[1]
            target.writestr(name, data)
    with pytest.raises(LoadError, match="document type declaration"):
        list(load(tmp_path / "a.docx"))


def test_encrypted_and_old_office_files(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))
    with pytest.raises(LoadError, match="save it without a password"):
        list(load(path))
