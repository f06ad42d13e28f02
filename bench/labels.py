"""How often a page look-up is right: `python bench/labels.py [--count N]`, on drawn receipts, forms and charts.

Pages and the mistakes of OCR are made by script (rag/training/make_pages.py); no picture is read. Each fact is asked
for on its page, and on that page without it. Silent: no look-up answers, and the question is left to the reader.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict

from tqdm import tqdm

from indexing.boxes import words_within
from rag.lookups.decide import look_up_page
from rag.training.make_pages import alike, document
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.unseen import KINDS, SEED, unseen


def said(page: Rendered, question: str, without: tuple[int, ...], rng: random.Random) -> str | None:
    read = document(page, page.sheet.without(*without), rng)
    words = read.pages[0].words
    boxes = words_within(words, 0, len(read.text)) if words else ()
    found = look_up_page(question, read.text, boxes, read.title)
    return found and read.text[slice(*found.value)]


def judged(page: Rendered, fact: Fact, rng: random.Random) -> tuple[str, str]:
    """The outcome for a fact on its page, and on the page without it."""
    question = rng.choice(fact.questions or (f"What is the {fact.asked.lower()}?",))
    there, gone = said(page, question, (), rng), said(page, question, fact.own, rng)
    right = there is not None and alike(there) == alike(page.sheet.runs[fact.value].text)
    outcome = "silent" if there is None else "right" if right else "wrong"
    return outcome, "silent, gone" if gone is None else "said, gone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="pages of each kind (60)")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for kind in KINDS:
        for number in tqdm(range(options.count), desc=kind, disable=None):
            rng = random.Random(number)
            page = unseen(kind, 2 * SEED + number)
            for fact in page.facts:
                counts[f"receipt {fact.asked}" if kind == "receipt" else kind].update(judged(page, fact, rng))
    for name, made in counts.items():
        print(f"{name:<22} " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(made.items())))


if __name__ == "__main__":
    main()
