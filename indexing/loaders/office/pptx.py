"""Presentations, by python-pptx -> a page for each slide: its title, its shapes from top to bottom, its notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.archive import open_zip
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.captions import FILE_NAME
from indexing.loaders.images.inner_pictures import InnerPictures
from indexing.loaders.loader import Alive
from indexing.types import Box, Document

if TYPE_CHECKING:
    from pptx.shapes.base import BaseShape
    from pptx.slide import Slide
    from pptx.table import Table

EMU_PER_POINT = 12_700


def load(path: Path, alive: Alive) -> Iterator[Document]:
    from pptx import Presentation

    with open_zip(path):
        pass
    deck = Presentation(str(path))
    alive()
    builder, pictures = DocumentBuilder(), InnerPictures(alive)
    width, height = (deck.slide_width or 0) / EMU_PER_POINT, (deck.slide_height or 0) / EMU_PER_POINT
    first = ""
    for number, slide in enumerate(deck.slides, 1):
        builder.page(number, width, height)
        title = _slide(builder, slide, pictures, (deck.slide_width or 1, deck.slide_height or 1))
        first = first or title
        alive()
    yield builder.build(title=deck.core_properties.title or first, format="pptx")


def _slide(builder: DocumentBuilder, slide: Slide, pictures: InnerPictures, size: tuple[int, int]) -> str:
    """Append a slide, return its title. size: width and height in EMU."""
    title = slide.shapes.title
    text = " ".join(title.text_frame.text.split()) if title is not None else ""
    builder.heading(text, 1)
    rest = (shape for shape in _flat(slide.shapes) if title is None or shape.shape_id != title.shape_id)
    for shape in sorted(rest, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if not pictures.put(builder, _content(shape), _described(shape), _box(shape, size)):
            _shape(builder, shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = _tidy(slide.notes_slide.notes_text_frame.text)
        builder.paragraph(f"Notes: {notes}" if notes else "")
    return text


def _flat(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """Shapes with groups opened. The positions of a group's parts are only roughly those on the slide."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _flat(shape.shapes)
        else:
            yield shape


def _shape(builder: DocumentBuilder, shape: BaseShape) -> None:
    if getattr(shape, "has_table", False):
        _table(builder, shape.table)
    elif getattr(shape, "has_chart", False):
        chart = shape.chart
        if chart.has_title and chart.chart_title.has_text_frame:
            builder.paragraph(_tidy(chart.chart_title.text_frame.text))
        for plot in chart.plots:
            builder.header(["", *[str(category) for category in plot.categories]])
            for series in plot.series:
                builder.row([series.name or "", *["" if v is None else f"{v:.15g}" for v in series.values]])
    elif shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            text = _tidy(paragraph.text)
            builder.paragraph("- " + text if text and paragraph.level else text)
    else:
        builder.paragraph(_described(shape))


def _described(shape: BaseShape) -> str:
    """The alternative text of a picture, unless it is only the name of a file."""
    described = shape._element.xpath(".//p:cNvPr/@descr")
    return "" if not described or FILE_NAME.search(described[0]) else _tidy(described[0])


def _content(shape: BaseShape) -> bytes | None:
    try:
        return shape.image.blob
    except (AttributeError, ValueError, KeyError):  # no picture, or a link to one outside the file
        return None


def _box(shape: BaseShape, size: tuple[int, int]) -> Box | None:
    """Its box on the slide, 0..1."""
    if None in (shape.left, shape.top, shape.width, shape.height):
        return None
    left, top = shape.left / size[0], shape.top / size[1]
    corners = left, top, left + shape.width / size[0], top + shape.height / size[1]
    x0, y0, x1, y1 = (round(min(max(value, 0.0), 1.0), 5) for value in corners)
    return x0, y0, x1, y1


def _table(builder: DocumentBuilder, table: Table) -> None:
    for number, row in enumerate(table.rows):
        cells = ["" if cell.is_spanned else _tidy(cell.text) for cell in row.cells]
        (builder.header if number == 0 and len(table.rows) > 1 else builder.row)(cells)


def _tidy(text: str) -> str:
    return text.replace("\v", "\n").strip()
