"""OCR's lines as layout lines, for PDF pages without text and for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexing.loaders.layout import Line

LEGIBLE = 0.65  # mean confidence of the letters of a page; blurred and noisy pages of known text were read 83 % right at 0.73, 41 % at 0.54

if TYPE_CHECKING:
    from PIL.Image import Image

    from vision.ocr import Word


def ocr_lines(image: Image, width: float, height: float) -> list[Line]:
    """Lines read in a picture of a page of this size, in reading order, none where they cannot be trusted. The size of text is its boxes' height."""
    return laid_out(trusted_lines(image), width, height)


def trusted_lines(image: Image) -> list[list[Word]]:
    """What OCR reads on a picture; nothing where it mostly guesses: wrong words would be found and quoted."""
    from vision.ocr import read_lines

    read = read_lines(image)
    sizes = [(len(text), confidence) for line in read for text, _, confidence in line]
    return read if sum(size * confidence for size, confidence in sizes) >= LEGIBLE * sum(size for size, _ in sizes) else []


def laid_out(read: list[list[Word]], width: float, height: float) -> list[Line]:
    """Lines of words as vision.ocr gives them, as lines of a page of this size."""
    lines: list[Line] = []
    for words in read:
        clean = [("".join(text.split()), box, min(confidence, 0.9999)) for text, box, confidence in words]
        clean = [word for word in clean if word[0]]
        if not clean:
            continue
        x0, y0 = min(b[0] for _, b, _ in clean) * width, min(b[1] for _, b, _ in clean) * height
        x1, y1 = max(b[2] for _, b, _ in clean) * width, max(b[3] for _, b, _ in clean) * height
        lines.append(Line(tuple(clean), x0, y0, x1, y1, y1 - y0, text=" ".join(text for text, _, _ in clean)))
    return lines
