"""How fast and how right clean pages are read: `python bench/ocr.py DATA [--count N] [--json]`.

Prose of DATA/text is set as pages of A4 at DPI, in faces and sizes that are drawn; the character error rate is the edits from what OCR read to what was set, white space apart, per character.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import textwrap
import time
from pathlib import Path

import numpy as np

from models.common.metrics import mean
from models.training.prose import read_prose
from vision.ocr import read_lines
from vision.training.rendered.sheet import FACES, Sheet

DPI = 150
WIDTH, HEIGHT, MARGIN = round(8.27 * DPI), round(11.69 * DPI), DPI
SIZES = (10, 11, 12)  # points


def page(text: str, face: str, size: int) -> tuple[Sheet, str]:
    """A page full of the text, and what stands on it; size in pixels."""
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=12, help="pages")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng, rates, times = random.Random(0), [], []
    texts = ["\n".join(paragraphs) for document in read_prose(options.data / "text") for _, paragraphs in document.sections]
    texts = [text for text in texts if text.isascii()]  # letters that the models were made for
    for number in range(options.count):
        sheet, wanted = page(" ".join(rng.sample(texts, 12)), list(FACES)[number % len(FACES)], round(rng.choice(SIZES) / 72 * DPI))
        picture = sheet.picture()
        if not number:
            read_lines(picture)  # opens the models
        began = time.perf_counter()
        lines = read_lines(picture)
        times.append(time.perf_counter() - began)
        rates.append(edits("".join(word for line in lines for word, _, _ in line), wanted) / len(wanted))
    made = {"seconds": statistics.median(times), "error rate": float(np.mean(rates)), "worst page": max(rates)}
    print(json.dumps(made) if options.json else f"{made['seconds']:.2f} s a page in the median, character error rate {mean(rates)}, of the worst page {made['worst page']:.4f}")


if __name__ == "__main__":
    main()
