"""Pictures with the texts that name them, to train the image tower on and to measure it."""

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
from vision.training.rendered.drawn import KINDS, Material, drawn, material
from vision.training.rendered.plots import NAMES, plot

if TYPE_CHECKING:
    from PIL.Image import Image

TEST_BOOK = "economics"  # whose figures are charts, for the most part
TEST, DEV = 12, 15  # per cent of names by their hash: below TEST, below DEV
PAGES, PLOTS = 3000, 1100  # made by script
SVG_SIDE = 160  # pixels
LONGEST = 400  # characters of a description
CALLED = {
    "receipt": ("receipt", "a till receipt from a shop", "photo of a receipt", "invoice"), "form": ("form", "a filled in form", "scanned form", "certificate"),
    "chart": ("chart", "bar chart", "chart with printed values", "graph"), "table": ("table", "a page with a table", "table of figures", "spreadsheet"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """kind: figure, photo, emoji, icon or page. texts: for a figure its description, then its caption; else its name first."""

    name: str
    kind: str
    split: str  # train, dev or test
    image: Image
    texts: tuple[str, ...]


def pairs(data: Path, *, made: bool = True) -> Iterator[Pair]:
    """data: the folder of pictures and question sets; made: those made by script too."""
    for path in sorted((data / "images").glob("*.tar*")):
        for name, picture, about in _members(path):
            if path.name.startswith("figures"):
                texts, kind = (about["alt"][:LONGEST], about["caption"][:LONGEST]), "figure"
                split = "test" if about["book"] == TEST_BOOK else "dev" if _share(about["module"]) < DEV - TEST else "train"
            elif path.name.startswith("photos"):
                texts, kind, split = _photo(about), "photo", _split(name)
            else:
                kind = "emoji" if path.name.startswith("emoji") else "icon"
                keywords = [word for word in dict.fromkeys(about["keywords"]) if word != about["name"]]
                texts, split = (about["name"], ", ".join([about["name"], *keywords]), *keywords[:6]), _split(about["name"])
                texts += tuple(f"{about['name']}, {tag}" for tag in about.get("tags", ())[:2])
            yield Pair(name, kind, split, picture, tuple(text for text in texts if text.strip()))
    if made:
        yield from _made(material(data))


def _made(given: Material) -> Iterator[Pair]:
    rng = random.Random(0)
    for number in range(PLOTS):
        kind = list(NAMES)[number % len(NAMES)]
        yield Pair(f"plot-{number}", "page", "train", plot(kind, rng), NAMES[kind])
    for number in range(PAGES):
        kind = KINDS[number % len(KINDS)]
        page = drawn(kind, given, rng)
        if page is not None:
            titles = [f"{kind}: {page.title}"] if kind not in page.title else []
            titles += [f"{kind} from {page.sheet.runs[fact.value].text}" for fact in page.facts if fact.asked == "shop"]
            yield Pair(f"page-{number}", "page", "train", page.sheet.picture(), (*CALLED[kind], *titles))


def _members(path: Path) -> Iterator[tuple[str, Image, dict]]:
    """(name, picture, what is said of it); members stand in pairs."""
    from PIL import Image

    held: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isfile():
                continue
            stem, suffix = member.name.rsplit(".", 1)
            parts = held.setdefault(stem, {})
            parts[suffix] = tar.extractfile(member).read()  # type: ignore[union-attr]
            if len(parts) == 2:
                about = json.loads(parts.pop("json"))
                ((suffix, content),) = parts.items()
                picture = svg.rendered(content, SVG_SIDE) if suffix == "svg" else Image.open(io.BytesIO(content)).convert("RGBA")
                del held[stem]
                yield stem, picture, about


def _photo(about: dict) -> tuple[str, ...]:
    label = about["label"].replace("-", " ")
    described = re.split(r"(?<=[.!?])\s", about.get("description") or "")[0][:LONGEST]
    return label, f"a photo of {label}", *([described] if described else [])


def _share(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100


def _split(name: str) -> str:
    share = _share(name)
    return "test" if share < TEST else "dev" if share < DEV else "train"
