"""Pages for the look-ups: texts with made-up boxes of their words, and pages drawn by script as OCR might read them."""

from __future__ import annotations

import random

from indexing.boxes import words_within
from models.reader.coordinates import WordBox
from rag.training.make_pages import document
from vision.training.rendered.fact import Rendered
from vision.training.rendered.sheet import Sheet

Page = tuple[str, list[WordBox]]
LETTER = 0.01  # width of a letter; lines are twice as high


def placed(*lines: tuple[str, float, float]) -> Page:
    """Lines (text, left, top): the text, and its words' boxes."""
    text, boxes = "", []
    for line, left, top in lines:
        at, end = len(text), 0
        for word in line.split():
            start = line.index(word, end)
            end = start + len(word)
            boxes.append((at + start, at + end, left + LETTER * start, top, left + LETTER * end, top + 2 * LETTER))
        text += line + "\n"
    return text, boxes


def as_read(page: Rendered, sheet: Sheet, rng: random.Random) -> Page:
    """A drawn sheet with some of the mistakes of OCR."""
    read = document(page, sheet, rng)
    words = read.pages[0].words
    return read.text, list(words_within(words, 0, len(read.text))) if words else []


BILL = placed(
    ("Pask's Ropes", 0.2, 0.1), ("3 May 2021", 0.2, 0.15), ("2 x Hemp rope", 0.1, 0.2), ("31.00", 0.7, 0.2),
    ("Lamp oil", 0.1, 0.25), ("4.20", 0.7, 0.25), ("Sub-total", 0.1, 0.3), ("35.20", 0.7, 0.3),
    ("VAT 20%", 0.1, 0.35), ("7.04", 0.7, 0.35), ("Amount due: 42.24", 0.1, 0.4), ("Served by:", 0.1, 0.5),
    ("Ida Holm", 0.1, 0.53),
)  # fmt: skip
CHART = placed(
    ("Harvest of the parish", 0.3, 0.05), ("Tonnes", 0.02, 0.1), ("412", 0.2, 0.3), ("97", 0.4, 0.6),
    ("250", 0.6, 0.45), ("Rye", 0.2, 0.9), ("Oats", 0.395, 0.9), ("Beans", 0.59, 0.9), ("Crop", 0.4, 0.95),
)  # fmt: skip
