"""Pages of PDF files as pictures, and parts of pictures. PDFium is not made for threads: hold PDFIUM while using it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from vision.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfPage

PDFIUM = threading.RLock()
MAX_LONGEST = 4000  # pixels


def render(page: PdfPage, *, dpi: float = 150, longest: int = MAX_LONGEST) -> Image:
    """The page on white in RGB, as a reader sees it (rotated, cropped), no side longer than `longest` pixels."""
    with PDFIUM:
        width, height = page.get_size()
        scale = min(dpi / 72, min(longest, MAX_LONGEST) / max(width, height, 1e-6))
        bitmap = page.render(scale=scale, rev_byteorder=True)
        try:
            return bitmap.to_pil().convert("RGB")  # a copy: the bitmap's memory goes
        finally:
            bitmap.close()


def render_pdf_page(path: Path, number: int, *, longest: int = 1600) -> Image:
    """Page `number` (from 1) of a PDF file with its longest side `longest` pixels. PictureError if there is none."""
    import pypdfium2 as pdfium

    with PDFIUM:
        try:
            document = pdfium.PdfDocument(path)
        except (pdfium.PdfiumError, OSError) as error:
            raise PictureError(f"not a readable PDF: {error}") from error
        try:
            if not 1 <= number <= len(document):
                raise PictureError(f"no page {number}: the PDF has {len(document)}")
            return render(document[number - 1], dpi=2400, longest=longest)
        except pdfium.PdfiumError as error:
            raise PictureError(f"page {number} cannot be drawn: {error}") from error
        finally:
            document.close()


def crop(image: Image, box: tuple[float, float, float, float], margin: float = 0.0) -> Image:
    """The part of a picture in a box of 0..1, widened by `margin` of the picture on each side; at least one pixel."""
    width, height = image.size
    x0, x1 = (round(width * min(max(v, 0.0), 1.0)) for v in (box[0] - margin, box[2] + margin))
    y0, y1 = (round(height * min(max(v, 0.0), 1.0)) for v in (box[1] - margin, box[3] + margin))
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    return image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
