"""How right OCR reads pages that are blurred more and more, beside its own confidence: `python bench/legible.py`. indexing.loaders.images.ocr_lines.LEGIBLE is chosen by it."""

from __future__ import annotations

import difflib

import numpy as np
from PIL import Image, ImageFilter

from vision.ocr import read_lines
from vision.training.rendered.sheet import Sheet

TEXT = ["The", "sluice", "keeper", "wrote", "in", "the", "ledger", "that", "the", "north", "gate", "had", "opened", "at", "half", "past", "four,", "and", "that", "nine", "tons", "of", "barley", "were", "ground", "before", "the", "tide", "turned", "back", "toward", "the", "sea", "wall", "in", "March"]


def main() -> None:
    for size in (14, 20):
        for blur in (0, 1, 1.5, 2, 2.5, 3):
            sheet = Sheet(900, 420, "serif")
            rows = [" ".join(TEXT[at : at + 8]) for at in range(0, len(TEXT), 8)]
            for number, row in enumerate(rows):
                sheet.write(row, 40, 40 + 2.4 * size * number, size)
            noise = np.random.default_rng(1).normal(0, 25, (420, 900, 1))
            pixels = np.clip(np.asarray(sheet.picture().filter(ImageFilter.GaussianBlur(blur))) + noise, 0, 255)
            words = [(text, confidence) for line in read_lines(Image.fromarray(pixels.astype(np.uint8))) for text, _, confidence in line]
            right = difflib.SequenceMatcher(None, " ".join(text for text, _ in words), " ".join(rows), autojunk=False).ratio()
            letters = sum(len(text) for text, _ in words)
            confidence = sum(len(text) * sure for text, sure in words) / max(1, letters)
            print(f"{size} pixels high, blurred by {blur}: {letters} letters, likeness {right:.2f}, confidence {confidence:.2f}")


if __name__ == "__main__":
    main()
