"""A picture -> lines of words by OCR, for picture files, PDF pages without a text layer, and pictures in documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexing.loaders.layout import Line

LEGIBLE = 0.65  # least mean confidence over the letters of a page: `python bench/legible.py`
LEAST_LETTERS = 3  # letters and digits of a picture inside a document: a ring alone is no O
CERTAIN = 0.9999  # below 1.0, which stands for words of a text layer

if TYPE_CHECKING:
    from PIL.Image import Image

    from vision.ocr import Word


def ocr_lines(image: Image, width: float, height: float) -> list[Line]:
    """The lines of a page of this size, in reading order; none where OCR mostly guesses."""
    return laid_out(trusted_lines(image), width, height)


def trusted_lines(image: Image) -> list[list[Word]]:
    """Lines of words without white space; none where OCR mostly guesses, as wrong words would be found and quoted."""
    from vision.ocr import read_lines

    read: list[list[Word]] = []
    letters = certainty = 0.0
    for line in read_lines(image):
        words = [("".join(text.split()), box, min(confidence, CERTAIN)) for text, box, confidence in line]
        words = [word for word in words if word[0]]
        letters += sum(len(text) for text, _, _ in words)
        certainty += sum(len(text) * confidence for text, _, confidence in words)
        if words:
            read.append(words)
    return read if certainty >= LEGIBLE * letters else []


def inscription(image: Image) -> list[list[Word]]:
    """The lines on a picture inside a document; none for fewer than LEAST_LETTERS letters."""
    read = trusted_lines(image)
    letters = sum(character.isalnum() for line in read for text, _, _ in line for character in text)
    return read if letters >= LEAST_LETTERS else []


def laid_out(read: list[list[Word]], width: float, height: float) -> list[Line]:
    """`trusted_lines` as lines of a page of this size. A line's font size is taken to be its height."""
    lines: list[Line] = []
    for words in read:
        x0, y0 = min(b[0] for _, b, _ in words) * width, min(b[1] for _, b, _ in words) * height
        x1, y1 = max(b[2] for _, b, _ in words) * width, max(b[3] for _, b, _ in words) * height
        lines.append(Line(tuple(words), x0, y0, x1, y1, y1 - y0, text=" ".join(text for text, _, _ in words)))
    return lines
