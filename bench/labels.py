"""How often what is read beside a label is right: `python bench/labels.py [--count N]`, on drawn receipts, forms and charts.

Pages and OCR's mistakes are drawn by script, see rag/training/make_pages.py; no picture is read. Each fact is asked for on its page, and on that page without it. Questions that no label
answers are left to the reader.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict

from tqdm import tqdm

from bench.pages import SEED, drawn
from indexing.boxes import words_within
from rag.lookups.decide import asked_of_page
from rag.training.make_pages import alike, document
from vision.training.rendered.fact import Fact, Rendered


def said(page: Rendered, question: str, without: tuple[int, ...], rng: random.Random) -> str | None:
    read = document(page, page.sheet.without(*without), rng)
    words = read.pages[0].words
    found = asked_of_page(question, read.text, words_within(words, 0, len(read.text)) if words else (), read.title)
    return found and read.text[slice(*found[1])]


def judged(page: Rendered, fact: Fact, rng: random.Random) -> tuple[str, str]:
    """What came of a fact, and of it when it was taken away."""
    question = rng.choice(fact.questions or (f"What is the {fact.asked.lower()}?",))
    there, gone = said(page, question, (), rng), said(page, question, fact.own, rng)
    told = "silent" if there is None else "right" if alike(there) == alike(page.sheet.runs[fact.value].text) else "wrong"
    return told, "silent, gone" if gone is None else "said, gone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="pages of each kind (60)")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for kind in ("receipt", "form", "chart"):
        for number in tqdm(range(options.count), desc=kind, disable=None):
            rng = random.Random(number)
            page = drawn(kind, 2 * SEED + number)
            for fact in page.facts:
                counts[f"receipt {fact.asked}" if kind == "receipt" else kind].update(judged(page, fact, rng))
    for name, made in counts.items():
        print(f"{name:<22} " + ", ".join(f"{count} {told}" for told, count in sorted(made.items())))


if __name__ == "__main__":
    main()
