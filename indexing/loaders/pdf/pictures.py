"""Pictures of a PDF page: embedded images, figures, the page itself; and the words that OCR reads on them.

Boxes are in points, y downwards, except in the Pictures and words that are returned: page units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from indexing.loaders.builder import PlacedWord
from indexing.loaders.images.ocr_lines import inscription
from indexing.loaders.layout import Line
from indexing.loaders.loader import Alive
from indexing.loaders.pdf.figures import MOST_SHARE
from indexing.loaders.pdf.geometry import area, covers, shorter_side, to_unit
from indexing.loaders.pdf.words import displayed
from indexing.types import Box, Picture
from vision.images import THUMBNAIL, encode
from vision.pages import crop, render

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

LEAST_PICTURE = 72.0  # points: the shorter side of an image without a caption that is kept
MOST_PICTURES = 50  # images of a page that are looked at
MOST_READ = 60  # pictures of a document that are read by OCR, which takes some tenths of a second each
READ_DPI = 150
AROUND = 0.01  # of the page: how far a label may be outside its figure


@dataclass(slots=True)
class Shown:
    """The pictures that the pages of a document have shown so far."""

    alive: Alive
    pictures: set[bytes] = field(default_factory=set)  # thumbnails; one without a caption that is repeated is a logo
    read: int = 0  # number of pictures read by OCR


def page_picture(page: PdfPage, number: int) -> Picture | None:
    """A page without words as one picture; None for a blank one."""
    width, height = page.get_size()
    image = render(page, longest=THUMBNAIL)
    if all(low == high for low, high in image.getextrema()):
        return None
    return Picture(number, round(width), round(height), b"", encode(image, THUMBNAIL), box=(0.0, 0.0, 1.0, 1.0))


def pictures_of(page: PdfPage) -> list[Box]:
    """The boxes of the first MOST_PICTURES images of a page."""
    import pypdfium2.raw as pdfium

    place = displayed(page)
    objects = page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2)
    return [place(item.get_bounds()) for item in islice(objects, MOST_PICTURES)]


def read(box: Box, page: PdfPage, shown: Shown) -> list[list[PlacedWord]]:
    """The words on a part of a page, line by line, by OCR; none after MOST_READ pictures."""
    if shown.read >= MOST_READ:
        return []
    shown.read += 1
    shown.alive()
    x0, y0, x1, y1 = to_unit(box, *page.get_size())
    width, height = x1 - x0, y1 - y0

    def on_page(part: Box) -> Box:
        return x0 + part[0] * width, y0 + part[1] * height, x0 + part[2] * width, y0 + part[3] * height

    lines = inscription(crop(render(page, dpi=READ_DPI), (x0, y0, x1, y1)))
    return [[(text, on_page(part), confidence) for text, part, confidence in line] for line in lines]


def uncaptioned_pictures(
    pictures: Sequence[Box], lines: Sequence[Line], figures: Sequence[Box], page: PdfPage
) -> list[Box]:
    """Images that are figures by themselves: large, no page's background, without words over them, in no figure."""
    most = MOST_SHARE * page.get_width() * page.get_height()
    found: list[Box] = []
    for box in pictures:
        covered = any(covers(other, box) for other in [*figures, *found])
        written = any(covers(box, (line.x0, line.y0, line.x1, line.y1)) for line in lines)
        if shorter_side(box) >= LEAST_PICTURE and area(box) <= most and not covered and not written:
            found.append(box)
    return found


def figure_picture(box: Box, page: PdfPage, number: int) -> Picture:
    """A figure as a picture without a preview: it is rendered again from its page when it is shown."""
    place = to_unit(box, *page.get_size())
    share = max(place[2] - place[0], place[3] - place[1], 0.1)  # of the page, so that the thumbnail is sharp
    image = crop(render(page, longest=round(THUMBNAIL / share)), place, margin=AROUND)
    width, height = round(box[2] - box[0]), round(box[3] - box[1])
    return Picture(number, width, height, b"", encode(image, THUMBNAIL), box=place)
