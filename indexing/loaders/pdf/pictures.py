"""Pictures of a PDF page: those that figures are made of, those that stand for themselves, the page itself, and the words on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from indexing.loaders.images.ocr_lines import inscription
from indexing.loaders.layout import Line
from indexing.loaders.loader import Alive
from indexing.loaders.pdf.figures import MOST_SHARE
from indexing.loaders.pdf.words import displayed
from indexing.types import Box, Picture
from vision.images import THUMBNAIL, encode
from vision.pages import crop, render

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

LEAST_PICTURE, MOST_PICTURES = 72.0, 50  # points a side; on a page
MOST_READ, READ_DPI = 60, 150  # pictures of a document that are read by OCR, which takes some tenths of a second each
AROUND = 0.01  # of the page: what a label may stand out of its figure

Word = tuple[str, Box, float]


@dataclass(slots=True)
class Shown:
    """What the pages of a document have shown so far: pictures without a caption (one that comes back is a logo), and how many pictures were read by OCR."""

    alive: Alive
    pictures: set[bytes] = field(default_factory=set)
    read: int = 0


def page_picture(page: PdfPage, number: int) -> Picture | None:
    """A page without words as one picture; None for a blank one."""
    width, height = page.get_size()
    seen = render(page, longest=THUMBNAIL)
    if all(low == high for low, high in seen.getextrema()):
        return None
    return Picture(number, round(width), round(height), b"", encode(seen, THUMBNAIL), box=(0.0, 0.0, 1.0, 1.0))


def pictures_of(page: PdfPage) -> list[Box]:
    import pypdfium2.raw as pdfium

    place = displayed(page)
    return [place(thing.get_bounds()) for thing in islice(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2), MOST_PICTURES)]


def read(box: Box, page: PdfPage, shown: Shown) -> list[list[Word]]:
    """The words that stand on a picture of a page, line by line."""
    if shown.read >= MOST_READ:
        return []
    shown.read += 1
    shown.alive()
    x0, y0, x1, y1 = unit(box, *page.get_size())
    wide, high = x1 - x0, y1 - y0
    return [
        [(text, (x0 + a * wide, y0 + b * high, x0 + c * wide, y0 + d * high), confidence) for text, (a, b, c, d), confidence in line]
        for line in inscription(crop(render(page, dpi=READ_DPI), (x0, y0, x1, y1)))
    ]


def uncaptioned(pictures: Sequence[Box], lines: Sequence[Line], taken: Sequence[Box], page: PdfPage) -> list[Box]:
    """Pictures that stand for themselves: large, no page's background, without words over them, in no figure."""
    width, height = page.get_size()
    found: list[Box] = []
    for box in pictures:
        sides = box[2] - box[0], box[3] - box[1]
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        covered = any(x0 <= middle[0] <= x1 and y0 <= middle[1] <= y1 for x0, y0, x1, y1 in [*taken, *found])
        written = any(box[0] <= (line.x0 + line.x1) / 2 <= box[2] and box[1] <= (line.y0 + line.y1) / 2 <= box[3] for line in lines)
        if min(sides) >= LEAST_PICTURE and sides[0] * sides[1] <= MOST_SHARE * width * height and not covered and not written:
            found.append(box)
    return found


def picture(box: Box, page: PdfPage, number: int) -> Picture:
    """A figure as a picture that is drawn again from its page when it is wanted."""
    place = unit(box, *page.get_size())
    seen = crop(render(page, longest=round(THUMBNAIL / max(place[2] - place[0], place[3] - place[1], 0.1))), place, margin=AROUND)
    return Picture(number, round(box[2] - box[0]), round(box[3] - box[1]), b"", encode(seen, THUMBNAIL), box=place)


def meet(one: Box, other: Box) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


def unit(box: Box, width: float, height: float) -> Box:
    left, top, right, bottom = (round(min(max(value / size, 0.0), 1.0), 5) for value, size in zip(box, (width, height) * 2, strict=True))
    return left, top, right, bottom
