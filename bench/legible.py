"""How right OCR reads pages that are blurred more and more, beside its own confidence.

    python -m bench.legible [--json]

indexing.loaders.images.ocr_lines.LEGIBLE, the least confidence of a page that is indexed, was chosen by it.
"""

from __future__ import annotations

import difflib

import numpy as np
from PIL import Image, ImageFilter

from bench.common import parser_of, report
from vision.ocr import read_lines
from vision.training.rendered.sheet import Sheet

SIZES, BLURS = (14, 20), (0, 1, 1.5, 2, 2.5, 3)  # pixels: of the font, and the radius of a Gaussian
WIDTH, HEIGHT, MARGIN = 900, 420, 40
NOISE = 25  # standard deviation of grey levels, 0 to 255
ROWS = [
    "The sluice keeper wrote in the ledger that", "the north gate had opened at half past",
    "four, and that nine tons of barley were", "ground before the tide turned back toward the", "sea wall in March",
]  # fmt: skip


def measure(size: int, blur: float) -> dict[str, float]:
    """Letters read, likeness of the text to what was written (difflib's ratio), mean confidence of a letter."""
    sheet = Sheet(WIDTH, HEIGHT, "serif")
    for number, row in enumerate(ROWS):
        sheet.write(row, MARGIN, MARGIN + 2.4 * size * number, size)
    noise = np.random.default_rng(1).normal(0, NOISE, (HEIGHT, WIDTH, 1))
    blurred = sheet.picture().filter(ImageFilter.GaussianBlur(blur))
    pixels = np.clip(np.asarray(blurred) + noise, 0, 255).astype(np.uint8)
    words = [(text, sure) for line in read_lines(Image.fromarray(pixels)) for text, _, sure in line]
    read = " ".join(text for text, _ in words)
    likeness = difflib.SequenceMatcher(None, read, " ".join(ROWS), autojunk=False).ratio()
    letters = sum(len(text) for text, _ in words)
    confidence = sum(len(text) * sure for text, sure in words) / max(1, letters)
    return {"letters": letters, "likeness": likeness, "confidence": confidence}


def main() -> None:
    parser = parser_of("legible", __doc__)
    options = parser.parse_args()
    cases = [(size, blur) for size in SIZES for blur in BLURS]
    report(parser, options, {f"{size} pixels high, blurred by {blur}": measure(size, blur) for size, blur in cases})


if __name__ == "__main__":
    main()
