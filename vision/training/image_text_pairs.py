"""Images with texts that describe them, and their split: what the image tower learns from and is measured with.

In: the folder of image archives (tar) and question sets. Out: one Pair at a time. Icons, emoji and photographs are held
out by a hash of their names, figures by their book or module.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vision import svg
from vision.training.rendered.pages import KINDS, Material, material, random_page
from vision.training.rendered.plots import NAMES, plot

if TYPE_CHECKING:
    from PIL.Image import Image

TEST_BOOK = "economics"  # its figures, charts for the most part, are test images
TEST, DEV = 12, 15  # per cent: a name whose hash is below TEST is a test image, below DEV a development image
PAGES, PLOTS = 3000, 1100  # synthetic images, for training only
SVG_SIDE = 160  # pixels of the longest side of a drawing
LONGEST = 400  # characters of a description
KEYWORDS, TAGS = 6, 2  # of an icon or emoji, each a text of its own
PAGE_TEXTS = {  # kind of a synthetic page -> what such a page is called
    "receipt": ("receipt", "a till receipt from a shop", "photo of a receipt", "invoice"),
    "form": ("form", "a filled in form", "scanned form", "certificate"),
    "chart": ("chart", "bar chart", "chart with printed values", "graph"),
    "table": ("table", "a page with a table", "table of figures", "spreadsheet"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its texts: of a figure its description, then its caption; of any other image its name first."""

    name: str
    kind: str  # figure, photo, emoji, icon or page
    split: str  # train, dev or test
    image: Image
    texts: tuple[str, ...]


def pairs(data: Path, *, made: bool = True) -> Iterator[Pair]:
    """All pairs below the folder `data`; made: the synthetic ones too."""
    for path in sorted((data / "images").glob("*.tar*")):
        for name, image, about in _members(path):
            if path.name.startswith("figures"):
                kind, split = "figure", _figure_split(about)
                texts = about["alt"][:LONGEST], about["caption"][:LONGEST]
            elif path.name.startswith("photos"):
                kind, split, texts = "photo", _split(name), _photo_texts(about)
            else:
                kind = "emoji" if path.name.startswith("emoji") else "icon"
                split, texts = _split(about["name"]), _icon_texts(about)
            yield Pair(name, kind, split, image, tuple(text for text in texts if text.strip()))
    if made:
        yield from _synthetic(material(data))


def _synthetic(given: Material) -> Iterator[Pair]:
    """Plots and pages, the same on every call."""
    rng = random.Random(0)
    for number in range(PLOTS):
        kind = list(NAMES)[number % len(NAMES)]
        yield Pair(f"plot-{number}", "page", "train", plot(kind, rng), NAMES[kind])
    for number in range(PAGES):
        kind = KINDS[number % len(KINDS)]
        page = random_page(kind, given, rng)
        if page is not None:
            titles = [f"{kind}: {page.title}"] if kind not in page.title else []
            titles += [f"{kind} from {page.sheet.runs[fact.value].text}" for fact in page.facts if fact.asked == "shop"]
            yield Pair(f"page-{number}", "page", "train", page.sheet.picture(), (*PAGE_TEXTS[kind], *titles))


def _members(path: Path) -> Iterator[tuple[str, Image, dict]]:
    """(name, image, metadata) of an archive, which holds an image file and a JSON file of each name."""
    waiting: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isfile():
                continue
            stem, suffix = member.name.rsplit(".", 1)
            parts = waiting.setdefault(stem, {})
            parts[suffix] = tar.extractfile(member).read()  # type: ignore[union-attr]
            if len(parts) == 2:
                about = json.loads(parts.pop("json"))
                ((suffix, content),) = parts.items()
                del waiting[stem]
                yield stem, _opened(content, suffix), about


def _opened(content: bytes, suffix: str) -> Image:
    """RGBA."""
    from PIL import Image

    return svg.rendered(content, SVG_SIDE) if suffix == "svg" else Image.open(io.BytesIO(content)).convert("RGBA")


def _icon_texts(about: dict) -> tuple[str, ...]:
    name = about["name"]
    keywords = [word for word in dict.fromkeys(about["keywords"]) if word != name]
    tagged = (f"{name}, {tag}" for tag in about.get("tags", ())[:TAGS])
    return name, ", ".join([name, *keywords]), *keywords[:KEYWORDS], *tagged


def _photo_texts(about: dict) -> tuple[str, ...]:
    label = about["label"].replace("-", " ")
    described = re.split(r"(?<=[.!?])\s", about.get("description") or "")[0][:LONGEST]
    return label, f"a photo of {label}", *([described] if described else [])


def _figure_split(about: dict) -> str:
    if about["book"] == TEST_BOOK:
        return "test"
    return "dev" if _percentile(about["module"]) < DEV - TEST else "train"


def _split(name: str) -> str:
    percentile = _percentile(name)
    return "test" if percentile < TEST else "dev" if percentile < DEV else "train"


def _percentile(name: str) -> int:
    """0 to 99 by the name's hash, so that a name is in the same split on every machine."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
