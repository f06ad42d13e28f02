"""The straight lines drawn on a PDF page: rules, borders of cells, edges of shaded boxes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from indexing.loaders.pdf.ruled_tables import Rule
from indexing.loaders.pdf.words import displayed

if TYPE_CHECKING:
    from pypdfium2 import PdfObject, PdfPage

MOST_OBJECTS, MOST_SEGMENTS = 5_000, 200  # of a page, of a path; beyond this it is a drawing
STRAIGHT, SHORT = 1.5, 5.0  # points: how far a line may lean; the least length of a rule

Point = tuple[float, float]


def objects_of(page: PdfPage) -> list[PdfObject]:
    """The first MOST_OBJECTS objects of a page. Objects within forms are not listed apart."""
    return list(islice(page.get_objects(max_depth=1), MOST_OBJECTS))


def rules(objects: Sequence[PdfObject], page: PdfPage) -> tuple[list[Rule], list[Rule]]:
    """Horizontal ones (y, x0, x1) and vertical ones (x, y0, y1), in points, y downwards."""
    import pypdfium2.raw as pdfium

    place = displayed(page)
    horizontal: list[Rule] = []
    vertical: list[Rule] = []
    for thing in objects:
        if thing.type == pdfium.FPDF_PAGEOBJ_PATH:
            for (xa, ya), (xb, yb) in _edges(thing.raw):
                x0, y0, x1, y1 = place((min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)))
                if y1 - y0 <= STRAIGHT and x1 - x0 >= SHORT:
                    horizontal.append(((y0 + y1) / 2, x0, x1))
                elif x1 - x0 <= STRAIGHT and y1 - y0 >= SHORT:
                    vertical.append(((x0 + x1) / 2, y0, y1))
    return horizontal, vertical


def _edges(path: object) -> Iterator[tuple[Point, Point]]:
    """The straight edges of a path."""
    import pypdfium2.raw as pdfium

    count = pdfium.FPDFPath_CountSegments(path)
    if not 2 <= count <= MOST_SEGMENTS:
        return
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(path, matrix):
        return
    x, y = ctypes.c_float(), ctypes.c_float()
    start: Point | None = None
    last: Point | None = None
    for number in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(path, number)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = matrix.a * x.value + matrix.c * y.value + matrix.e, matrix.b * x.value + matrix.d * y.value + matrix.f
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO and last:
            yield last, point
        last = point
        if pdfium.FPDFPathSegment_GetClose(segment) and start:
            yield point, start
            last = start
