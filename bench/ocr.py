"""Speed and character error rate of OCR on clean pages.

    python -m bench.ocr DATA [--count N] [--json]

Prose of DATA/text is set as A4 pages at DPI, in random fonts and sizes. The error rate is the Levenshtein distance
between the text that was read and the text that was set, without white space, per character set.
"""

from __future__ import annotations

import random
import statistics
import textwrap
import time
from pathlib import Path

import numpy as np

from bench.common import parser_of, report
from models.common.metrics import mean
from models.training.prose import read_prose
from vision.ocr import read_lines
from vision.training.rendered.sheet import FACES, Sheet

DPI = 150
WIDTH, HEIGHT, MARGIN = round(8.27 * DPI), round(11.69 * DPI), DPI
SIZES = (10, 11, 12)  # points


def page(text: str, face: str, size: int) -> tuple[Sheet, str]:
    """A page full of the text, and the letters on it; size in pixels."""
    sheet = Sheet(WIDTH, HEIGHT, face)
    letters = int((WIDTH - 2 * MARGIN) / (size * (0.62 if face == "mono" else 0.56)))
    lines = textwrap.wrap(text, letters, break_on_hyphens=False)[: int((HEIGHT - 2 * MARGIN) / (1.5 * size))]
    for number, line in enumerate(lines):
        sheet.write(line, MARGIN, MARGIN + 1.5 * size * number, size)
    return sheet, "".join("".join(lines).split())


def edits(one: str, other: str) -> int:
    """Insertions, deletions and replacements that make one the other (Levenshtein)."""
    letters, ahead = np.array([ord(letter) for letter in other]), np.arange(len(other) + 1)
    row = ahead
    for number, letter in enumerate(one, 1):
        kept = np.minimum(row[1:] + 1, row[:-1] + (letters != ord(letter)))
        row = np.minimum.accumulate(np.concatenate(([number], kept)) - ahead) + ahead
    return int(row[-1])


def main() -> None:
    parser = parser_of("ocr", __doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=12, help="pages (12)")
    options = parser.parse_args()
    rng, rates, times = random.Random(0), [], []
    sections = (section for document in read_prose(options.data / "text") for section in document.sections)
    texts = ["\n".join(paragraphs) for _, paragraphs in sections]
    texts = [text for text in texts if text.isascii()]  # letters that the models were made for
    for number in range(options.count):
        text, face = " ".join(rng.sample(texts, 12)), list(FACES)[number % len(FACES)]
        sheet, wanted = page(text, face, round(rng.choice(SIZES) / 72 * DPI))
        picture = sheet.picture()
        if not number:
            read_lines(picture)  # opens the models
        began = time.perf_counter()
        lines = read_lines(picture)
        times.append(time.perf_counter() - began)
        rates.append(edits("".join(word for line in lines for word, _, _ in line), wanted) / len(wanted))
    figures = {"seconds a page": statistics.median(times), "error rate": mean(rates), "worst page": max(rates)}
    report(parser, options, figures)


if __name__ == "__main__":
    main()
