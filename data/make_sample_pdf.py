"""The two PDF files of data/sample, one typeset and one scanned; see make_sample.py.

The only module of the project that imports reportlab.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from html import escape

from PIL import Image

Block = tuple[str, str, list[list[str]]]  # kind, text, rows (of a table only)

YEARS = (2014, 2015, 2016, 2017, 2018, 2019)
SETTLEMENT = {"A (east wall)": (6.8, 7.4, 8.1, 2.3, 0.9, 0.4), "B (west wall)": (2.1, 2.0, 2.6, 1.1, 0.5, 0.2)}
INKS = ("#1f4e5f", "#d08c3f")


def settlement_chart(width: float):
    """Figure 1 as vectors: two bars a year with their values printed above."""
    from reportlab.graphics.shapes import Drawing, Line, Rect, String
    from reportlab.lib.colors import HexColor

    height, scale, group = 205, 17.5, width / len(YEARS)
    drawing = Drawing(width, height)
    for level in range(0, 9, 2):
        drawing.add(
            Line(18, 22 + level * scale, width, 22 + level * scale, strokeWidth=0.3, strokeColor=HexColor("#bbbbbb"))
        )
        drawing.add(String(10, 19 + level * scale, str(level), fontSize=8, fontName="Helvetica", textAnchor="end"))
    for place, (stud, values) in enumerate(SETTLEMENT.items()):
        ink = HexColor(INKS[place])
        for at, value in enumerate(values):
            x = 24 + at * (width - 24) / len(YEARS) + group * (0.14 + 0.34 * place)
            drawing.add(Rect(x, 22, group * 0.32, value * scale, fillColor=ink, strokeColor=None))
            drawing.add(
                String(
                    x + group * 0.16,
                    25 + value * scale,
                    f"{value}",
                    fontSize=8.5,
                    fontName="Helvetica",
                    textAnchor="middle",
                )
            )
        drawing.add(Rect(width - 118, height - 18 - 15 * place, 9, 9, fillColor=ink, strokeColor=None))
        drawing.add(String(width - 104, height - 17 - 15 * place, f"Stud {stud}", fontSize=9, fontName="Helvetica"))
    for at, year in enumerate(YEARS):
        x = 24 + at * (width - 24) / len(YEARS) + group * 0.48
        drawing.add(String(x, 8, str(year), fontSize=9, fontName="Helvetica", textAnchor="middle"))
    return drawing


def ruled_table(rows: list[list[str]], width: float):
    """A table with every rule drawn; numbers to the right, first row and a Total row bold."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Table, TableStyle

    style = [
        ("GRID", (0, 0), (-1, -1), 0.5, HexColor("#444444")),
        ("BACKGROUND", (0, 0), (-1, 0), HexColor("#e4ecef")),
        ("FONT", (0, 0), (-1, -1), "Times-Roman", 10.5),
        ("FONT", (0, 0), (-1, 0), "Times-Bold", 10.5),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4.5),
    ]
    if rows[-1][0] == "Total":
        style.append(("FONT", (0, -1), (-1, -1), "Times-Bold", 10.5))
    first = 0.46 * width if len(rows[0]) > 3 else 0.6 * width
    return Table(rows, [first] + [(width - first) / (len(rows[0]) - 1)] * (len(rows[0]) - 1), style=TableStyle(style))


def pdf_styles() -> dict:
    from reportlab.lib.enums import TA_JUSTIFY
    from reportlab.lib.styles import ParagraphStyle

    def style(font: str, size: float, **rest) -> ParagraphStyle:
        return ParagraphStyle(font + str(size), fontName=font, fontSize=size, leading=size * 1.32, **rest)

    return {
        "h1": style("Times-Bold", 28, spaceBefore=30, spaceAfter=4),
        "h2": style("Times-Bold", 15, spaceBefore=14, spaceAfter=6),
        "subtitle": style("Times-Italic", 16, spaceAfter=10),
        "byline": style("Times-Italic", 10.5, spaceBefore=8, spaceAfter=8),
        "caption": style("Helvetica-Bold", 9.5, spaceBefore=10, spaceAfter=6),
        "item": style("Times-Roman", 11.5, leftIndent=16, bulletIndent=4, spaceAfter=3),
        "text": style("Times-Roman", 11.6, spaceAfter=8, alignment=TA_JUSTIFY),
    }


def report_flow(source: Iterable[Block], styles: dict, width: float) -> Iterator:
    """The report's source as platypus flowables."""
    from reportlab.platypus import FrameBreak, NextPageTemplate, PageBreak, Paragraph, Spacer

    for kind, text, rows in source:
        marked = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text, quote=False))
        if kind == "page":
            yield PageBreak()
        elif kind == "column":
            yield FrameBreak()
        elif kind in ("columns", "single"):
            yield from (NextPageTemplate(kind), PageBreak())
        elif kind == "table":
            yield Paragraph(marked, styles["caption"])
        elif kind == "rows":
            yield from (ruled_table(rows, width), Spacer(1, 12))
        elif kind == "figure":
            yield from (Spacer(1, 6), settlement_chart(width), Paragraph(marked, styles["caption"]), Spacer(1, 6))
        elif kind == "item":
            yield Paragraph(marked, styles["item"], bulletText="\u2022")
        else:
            yield Paragraph(marked, styles[kind])


def report_pdf(source: Iterable[Block]) -> bytes:
    """The report: five pages, of which one in two columns and one with ruled tables."""
    from reportlab import rl_config
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

    rl_config.useA85 = 0  # raw streams, so that git takes the file for what it is, binary
    width, height, gap = A4[0] - 50 * mm, A4[1] - 50 * mm, 8 * mm
    half = (width - gap) / 2

    def frame(x: float, wide: float) -> Frame:
        return Frame(x, 25 * mm, wide, height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)

    def footer(canvas, document) -> None:
        canvas.setFont("Times-Italic", 9)
        canvas.drawString(25 * mm, 14 * mm, "Wrackham Tide Mill: report on the restoration")
        canvas.drawRightString(A4[0] - 25 * mm, 14 * mm, f"page {document.page}")

    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        invariant=1,
        title="Report on the restoration, 2016 to 2019",
        author="Wrackham Mill Trust",
    )
    columns = [frame(25 * mm, half), frame(25 * mm + half + gap, half)]
    document.addPageTemplates(
        [
            PageTemplate("single", [frame(25 * mm, width)], onPage=footer),
            PageTemplate("columns", columns, onPage=footer),
        ]
    )
    document.build(list(report_flow(source, pdf_styles(), width)))
    return buffer.getvalue()


def scan_pdf(page: Image.Image) -> bytes:
    """The letter as a scanner leaves it: one grey picture, no text layer."""
    from reportlab import rl_config
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    rl_config.useA85 = 0
    jpeg = io.BytesIO()
    page.save(jpeg, "JPEG", quality=50)

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.setTitle("WM archive, box 3, item 17")
    canvas.drawImage(ImageReader(jpeg), 0, 0, *A4)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()
