"""How well drawn pages are read: `python bench/pages.py [--count N] [--json]`.

Receipts, forms and charts of seeds that training never drew are saved as PNG, indexed by Folio (OCR and all), and asked for facts on them. Right is an
answer with a citation that quotes the fact alone and exactly; boxed is such a one whose box overlaps the true one by IOU.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

from tqdm import tqdm

from indexing.build.run import build
from indexing.types import Box
from models.common.metrics import mean
from rag.pipeline import RagPipeline
from rag.types import Answer
from vision.training.rendered.charts import chart
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.forms import form
from vision.training.rendered.receipts import receipt

SEED = 10_000_000  # from here on; rag/training/make_pages.py draws from one stream that begins at 0
IOU = 0.5
GOODS = ["Oatmeal", "Brown bread", "Lamp oil", "Hemp rope", "Nails 40 mm", "Soap", "Blue ink", "Candles", "Rye flour", "Twine", "Sea salt", "Door hinge"]
WARES = ["Wheat", "Barley", "Oats", "Rye", "Beans", "Peas", "Maize", "Hops"]


def drawn(kind: str, seed: int) -> Rendered:
    rng = random.Random(seed)
    if kind == "receipt":
        return receipt(GOODS, rng)
    if kind == "form":
        return form((), "", rng)
    points = [(ware, f"{rng.uniform(1, 900):.1f}") for ware in rng.sample(WARES, rng.randint(3, 6))]
    return chart("Harvest by crop", "Tonnes", "Crop", points, rng)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=30, help="pages of each kind")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    made = {}
    for kind in ("receipt", "form", "chart"):
        results: dict[str, list[tuple[bool, bool]]] = {}
        for number in tqdm(range(options.count), desc=kind, disable=None):
            page = drawn(kind, SEED + number)
            with tempfile.TemporaryDirectory() as folder:
                page.sheet.picture().save(Path(folder) / f"{kind}.png")
                build([Path(folder) / f"{kind}.png"], Path(folder) / "index")
                rag = RagPipeline.from_index(Path(folder) / "index")
                asked = [fact for fact in page.facts if kind != "receipt" or fact.asked in ("total", "date")]
                for fact in random.Random(number).sample(asked, min(2, len(asked))):
                    question = random.Random(number).choice(fact.questions or (f"What is the {fact.asked.lower()}?",))
                    name = f"receipt {fact.asked}" if kind == "receipt" else kind
                    results.setdefault(name, []).append(judged(rag.ask(question), page, fact))
        made |= {name: {"right": mean([float(a) for a, _ in some]), "boxed": mean([float(b) for _, b in some]), "n": len(some)} for name, some in results.items()}
    if options.json:
        print(json.dumps({name: {key: getattr(value, "value", value) for key, value in row.items()} for name, row in made.items()}))
        return
    for name, row in made.items():
        print(f"{name:<16} right {row['right']}  boxed {row['boxed']}  n {row['n']}")


if __name__ == "__main__":
    main()
