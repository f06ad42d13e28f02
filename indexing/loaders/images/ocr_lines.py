"""OCR's lines as layout lines, for PDF pages without text and for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexing.loaders.pdf.layout import Line

LEGIBLE = 0.65  # mean confidence of the letters of a page: bench/legible.py
FEW = 3  # letters and figures; fewer were not written

if TYPE_CHECKING:
    from PIL.Image import Image

    from vision.ocr import Word


def ocr_lines(image: Image, width: float, height: float) -> list[Line]:
    """Lines read in a picture of a page of this size, in reading order, none where they cannot be trusted. The size of text is its boxes' height."""
    return laid_out(trusted_lines(image), width, height)


def trusted_lines(image: Image) -> list[list[Word]]:
    """What OCR reads on a picture, words without blanks; nothing where it mostly guesses: wrong words would be found and quoted."""
    from vision.ocr import read_lines

    words = ([("".join(text.split()), box, min(confidence, 0.9999)) for text, box, confidence in line] for line in read_lines(image))
    read = [line for line in ([word for word in line if word[0]] for line in words) if line]
    sizes = [(len(text), confidence) for line in read for text, _, confidence in line]
    return read if sum(size * confidence for size, confidence in sizes) >= LEGIBLE * sum(size for size, _ in sizes) else []


def inscription(image: Image) -> list[list[Word]]:
    """What stands on a picture inside a document; a ring alone is no O."""
    read = trusted_lines(image)
    return read if sum(sign.isalnum() for line in read for text, _, _ in line for sign in text) >= FEW else []


def laid_out(read: list[list[Word]], width: float, height: float) -> list[Line]:
    """Lines of words, as `trusted_lines` gives them, as lines of a page of this size."""
    lines: list[Line] = []
    for words in read:
        x0, y0 = min(b[0] for _, b, _ in words) * width, min(b[1] for _, b, _ in words) * height
        x1, y1 = max(b[2] for _, b, _ in words) * width, max(b[3] for _, b, _ in words) * height
        lines.append(Line(tuple(words), x0, y0, x1, y1, y1 - y0, text=" ".join(text for text, _, _ in words)))
    return lines
