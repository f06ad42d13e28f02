"""How well facts on drawn pages are answered: `python bench/pages.py [--count N] [--json]`.

Receipts, forms and charts that training never drew are saved as PNG, indexed with OCR, and asked for facts on them.
Right: a citation quotes the fact alone and exactly. Boxed: the box of such a citation overlaps the true one by IOU.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from bench.common import parser_of, report
from indexing.build.run import build
from indexing.types import Box
from models.common.metrics import mean
from rag.pipeline import RagPipeline
from rag.types import Answer
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.unseen import KINDS, SEED, unseen

IOU = 0.5
FACTS = 2  # asked for on a page


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width, height = (min(one[at + 2], other[at + 2]) - max(one[at], other[at]) for at in (0, 1))
    shared = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def judged(answer: Answer, page: Rendered, fact: Fact) -> tuple[bool, bool]:
    """(right, boxed)."""
    true = page.sheet.box(fact.value)
    wanted = "".join(page.sheet.runs[fact.value].text.split()).casefold()
    right = [cited for cited in answer.citations if "".join(cited.quote.split()).casefold() == wanted]
    return bool(right), any(overlap(box, true) >= IOU for cited in right for box in cited.boxes)


def asked(kind: str, number: int) -> list[tuple[str, tuple[bool, bool]]]:
    """(what was asked for, (right, boxed)) of some facts of a page, which is the only document of its index."""
    page = unseen(kind, SEED + number)
    facts = [fact for fact in page.facts if kind != "receipt" or fact.asked in ("total", "date")]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        page.sheet.picture().save(Path(folder) / f"{kind}.png")
        build([Path(folder) / f"{kind}.png"], Path(folder) / "index")
        rag = RagPipeline.from_index(Path(folder) / "index")
        for fact in random.Random(number).sample(facts, min(FACTS, len(facts))):
            question = random.Random(number).choice(fact.questions or (f"What is the {fact.asked.lower()}?",))
            name = f"receipt {fact.asked}" if kind == "receipt" else kind
            results.append((name, judged(rag.ask(question), page, fact)))
    return results


def main() -> None:
    parser = parser_of("pages", __doc__)
    parser.add_argument("--count", type=int, default=30, help="pages of each kind")
    options = parser.parse_args()
    results: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for kind in KINDS:
        for number in tqdm(range(options.count), desc=kind, disable=None):
            for name, result in asked(kind, number):
                results[name].append(result)
    made = {}
    for name, some in results.items():
        right, boxed = (mean([float(result[at]) for result in some]) for at in (0, 1))
        made[name] = {"right": right, "boxed": boxed, "n": len(some)}
    report(parser, options, made)


if __name__ == "__main__":
    main()
