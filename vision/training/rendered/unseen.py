"""Receipts, forms and charts of seeds and goods that training never drew.

In: a kind and a seed. Out: a page whose every word has a known box, and its facts. To measure and to test with.
"""

from __future__ import annotations

import random

from vision.training.rendered.charts import chart
from vision.training.rendered.fact import Rendered
from vision.training.rendered.forms import form
from vision.training.rendered.receipts import receipt

KINDS = ("receipt", "form", "chart")
SEED = 10_000_000  # from here on; rag/training/make_pages.py draws from one stream that begins at 0
GOODS = [
    "Oatmeal", "Brown bread", "Lamp oil", "Hemp rope", "Nails 40 mm", "Soap", "Blue ink", "Candles", "Rye flour",
    "Twine", "Sea salt", "Door hinge",
]  # fmt: skip
CROPS = ["Wheat", "Barley", "Oats", "Rye", "Beans", "Peas", "Maize", "Hops"]


def unseen(kind: str, seed: int) -> Rendered:
    """A page of one of KINDS, the same for the same seed."""
    rng = random.Random(seed)
    if kind == "receipt":
        return receipt(GOODS, rng)
    if kind == "form":
        return form((), "", rng)
    points = [(crop, f"{rng.uniform(1, 900):.1f}") for crop in rng.sample(CROPS, rng.randint(3, 6))]
    return chart("Harvest by crop", "Tonnes", "Crop", points, rng)
