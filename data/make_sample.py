"""Make the binary documents of data/sample from the plain texts in data/sample_src.

    python data/make_sample.py                 # writes the PDF, docx, pptx, xlsx, ipynb, epub and picture files

Run by hand by a maintainer after a text has changed; the files it writes are tracked. The text formats of
data/sample (txt, md, rst, html, csv, tsv, json, jsonl, eml, py) are written by hand and are not touched here.
The two PDF files need `pip install reportlab`, which only this script uses and which therefore is not in
requirements.txt. Same libraries, same bytes: dates and random seeds are fixed, and zip files are packed anew.

A source text is a list of blocks, which `blocks` reads: `# ` and `## ` headings, `- ` items, `| ` table rows,
`[word] rest` directives, and paragraphs of one line. `**two stars**` make bold.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from html import escape
from pathlib import Path

import make_sample_pictures as pictures
from make_sample_pdf import Block, report_pdf, scan_pdf

SOURCES = Path(__file__).parent / "sample_src"
SAMPLE = Path(__file__).parent / "sample"
ZIP_DATE = (2024, 5, 11, 12, 0, 0)
ISO_DATE = "2024-05-11T12:00:00Z"


def source(name: str) -> str:
    return (SOURCES / f"{name}.txt").read_text("utf-8")


def blocks(name: str) -> Iterator[Block]:
    """The blocks of one source text: kinds are h1, h2, item, table, text, and the directives' own words."""
    rows: list[list[str]] = []
    for line in [*source(name).splitlines(), ""]:
        if line.startswith("| "):
            rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
            continue
        if rows:
            yield "rows", "", rows
            rows = []
        if match := re.fullmatch(r"\[(\w+)\] ?(.*)", line):
            yield match[1], match[2], []
        elif match := re.fullmatch(r"(##?|-) (.*)", line):
            yield {"#": "h1", "##": "h2", "-": "item"}[match[1]], match[2], []
        elif line:
            yield "text", line, []


def repack(data: bytes) -> bytes:
    """The same zip file with fixed dates, inside too (an Office file keeps the time at which it was saved)."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".xlsx"):
                content = repack(content)
            elif entry.filename == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:\w+ [^>]*>)[^<]*", rb"\g<1>" + ISO_DATE.encode(), content)
            info = zipfile.ZipInfo(entry.filename, ZIP_DATE)
            info.compress_type = entry.compress_type
            info.external_attr = 0o644 << 16
            new.writestr(info, content)
    return out.getvalue()


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


# ---------------------------------------------------------------- Office files


def minutes_docx() -> bytes:
    import docx
    from docx.shared import Pt

    document = docx.Document()
    document.core_properties.author = "Wrackham Mill Trust"
    document.core_properties.title = "Minutes of the trustees, 12 October 2023"
    document.styles["Normal"].font.name, document.styles["Normal"].font.size = "Georgia", Pt(11)
    for kind, text, rows in blocks("trustees-minutes"):
        if kind in ("h1", "h2"):
            document.add_heading(text, level={"h1": 0, "h2": 2}[kind])
        elif kind == "rows":
            table = document.add_table(0, len(rows[0]), style="Table Grid")
            for at, row in enumerate(rows):
                for cell, value in zip(table.add_row().cells, row, strict=True):
                    cell.paragraphs[0].add_run(value).bold = at == 0
        else:
            paragraph = document.add_paragraph(style={"subtitle": "Subtitle", "table": "Caption"}.get(kind))
            for at, part in enumerate(text.split("**")):
                paragraph.add_run(part).bold = True if at % 2 else None
    return repack(saved(document.save))


def slide_table(slide, rows: list[list[str]]) -> None:
    from pptx.util import Inches

    shape = slide.shapes.add_table(len(rows), len(rows[0]), Inches(0.7), Inches(1.6), Inches(8.6), Inches(2.6))
    for row, cells in zip(rows, shape.table.rows, strict=True):
        for value, cell in zip(row, cells.cells, strict=True):
            cell.text = value


def slide_chart(slide, title: str, values: list[str]) -> None:
    """A bar chart that PowerPoint can edit, the values on the bars."""
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    data = CategoryChartData()
    pairs = [value.rsplit(" ", 1) for value in values]
    data.categories = [name for name, _ in pairs]
    data.add_series(title, [int(number.replace(",", "")) for _, number in pairs])
    box = (Inches(0.7), Inches(1.4), Inches(8.6), Inches(3.2))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, *box, data).chart
    chart.has_legend = False
    chart.plots[0].has_data_labels = True


def talk_pptx() -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    deck.core_properties.author, deck.core_properties.title = "Samir Haddad", "Five years of flour"
    slide = frame = None
    for kind, text, rows in blocks("open-day-talk"):
        if kind == "h1":
            slide = deck.slides.add_slide(deck.slide_layouts[0 if slide is None else 1])
            slide.shapes.title.text = text
            frame, used = slide.placeholders[1], False
        elif kind == "subtitle":
            frame.text = text
        elif kind == "item":
            paragraph = frame.text_frame.add_paragraph() if used else frame.text_frame.paragraphs[0]
            paragraph.text, used = text, True
        elif kind == "notes":
            slide.notes_slide.notes_text_frame.text = text
        elif kind in ("rows", "chart"):
            frame.left, frame.top, frame.width, frame.height = map(Inches, (0.7, 4.8, 8.6, 2.2))
            if kind == "rows":
                slide_table(slide, rows)
            else:
                slide_chart(slide, text.split(" | ")[0], text.split(" | ")[1:])
    return repack(saved(deck.save))


def books_xlsx() -> bytes:
    """Numbers are numbers and dates are dates, as in anybody's workbook."""
    import openpyxl
    from openpyxl.styles import Font

    def value(text: str) -> str | int | date:
        if re.fullmatch(r"\d+", text):
            return int(text)
        # A spreadsheet's calendar begins in 1900; an older date can only be text.
        return date.fromisoformat(text) if re.fullmatch(r"(19|20)\d\d-\d\d-\d\d", text) else text

    book = openpyxl.Workbook()
    book.remove(book.active)
    for kind, text, rows in blocks("mill-books"):
        if kind == "h1":
            sheet = book.create_sheet(text)
            continue
        for row in rows:
            sheet.append([value(cell) for cell in row])
        for column, cells in zip(sheet.iter_cols(), zip(*rows, strict=True), strict=True):
            column[0].font = Font(bold=True)
            sheet.column_dimensions[column[0].column_letter].width = max(map(len, cells)) + 2
        sheet.freeze_panes = "B2"
    return repack(saved(book.save))


# ---------------------------------------------------------------- notebook and book


def power_ipynb() -> bytes:
    """The notebook, run: every code cell carries what it printed."""
    import nbformat
    from nbformat import v4

    book, scope = v4.new_notebook(), {}
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for at, cell in enumerate(re.split(r"^%% ", source("head-and-power"), flags=re.M)[1:]):
        kind, _, body = cell.strip().partition("\n")
        if kind == "markdown":
            book.cells.append(v4.new_markdown_cell(body))
        else:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(body, scope)
            outputs = [v4.new_output("stream", name="stdout", text=printed.getvalue())] if printed.getvalue() else []
            book.cells.append(v4.new_code_cell(body, execution_count=(at + 1) // 2, outputs=outputs))
        book.cells[-1]["id"] = f"cell-{at}"
    return (nbformat.writes(book) + "\n").encode()


CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = (
    '<?xml version="1.0" encoding="utf-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
    'unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">'
    "urn:wrackham:millers-year</dc:identifier><dc:title>The Miller's Year: A Wrackham Almanac</dc:title>"
    "<dc:creator>Agnes Fairlie</dc:creator><dc:language>en</dc:language><dc:date>2023-12-01</dc:date>"
    f'<meta property="dcterms:modified">{ISO_DATE}</meta></metadata><manifest>%s</manifest><spine>%s</spine></package>'
)
PAGE = (
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" '
    'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>%s</title></head>\n<body>\n%s\n</body></html>\n'
)


def chapters(name: str) -> Iterator[tuple[str, str]]:
    """(title, XHTML body) of every `# ` chapter."""
    title, body = "", []
    for kind, text, _ in [*blocks(name), ("h1", "", [])]:
        if kind == "h1":
            if title:
                yield title, re.sub(r"((?:<li>.*</li>\n?)+)", r"<ul>\n\1</ul>\n", "\n".join(body))
            title, body = text, []
        tag = {"text": "p", "item": "li"}.get(kind, kind)
        body.append(f"<{tag}>{escape(text, quote=False)}</{tag}>")


def almanac_epub() -> bytes:
    parts = [(f"ch{at}", *chapter) for at, chapter in enumerate(chapters("millers-year"), start=1)]
    links = "".join(f'<li><a href="{name}.xhtml">{title}</a></li>' for name, title, _ in parts)
    item = '<item id="{0}" href="{0}.xhtml" media-type="application/xhtml+xml"{1}/>'.format
    manifest = item("nav", ' properties="nav"') + "".join(item(name, "") for name, *_ in parts)
    spine = "".join(f'<itemref idref="{name}"/>' for name, *_ in parts)
    nav = PAGE % ("Contents", f'<nav epub:type="toc"><h1>The Miller\'s Year</h1><ol>{links}</ol></nav>')
    files: Iterable[tuple[str, str]] = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", CONTAINER),
        ("book/content.opf", PACKAGE % (manifest, spine)),
        ("book/nav.xhtml", nav),
        *((f"book/{name}.xhtml", PAGE % (title, body)) for name, title, body in parts),
    ]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in files:
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            book.writestr(info, text)
    return out.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "restoration-report.pdf": lambda: report_pdf(blocks("restoration-report")),
    "thrale-letter-1938-scan.pdf": lambda: scan_pdf(pictures.scanned_letter(source("thrale-letter"))),
    "trustees-minutes-2023-10.docx": minutes_docx,
    "open-day-talk.pptx": talk_pptx,
    "mill-books.xlsx": books_xlsx,
    "head-and-power.ipynb": power_ipynb,
    "millers-year.epub": almanac_epub,
    **pictures.FILES,
}


def main() -> None:
    SAMPLE.mkdir(exist_ok=True)
    for name, make in FILES.items():
        data = make()
        (SAMPLE / name).write_bytes(data)
        print(f"{len(data):>8,}  {name}")


if __name__ == "__main__":
    main()
