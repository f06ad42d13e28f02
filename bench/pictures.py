"""How often a figure of an unseen book is among the ten nearest to its caption, and to its description: `python bench/pictures.py DATA [--limit N] [--dev]`.

Each figure is indexed as a web page with its heading, once with nothing said of it and once with what the other of the two texts says, as Folio's loader reads it:
from its pixels alone, from the words on it, from both, and from all with the text around it.
"""

from __future__ import annotations

import argparse
import tempfile
from html import escape
from pathlib import Path

import numpy as np
from tqdm import tqdm

from indexing.build.run import build
from rag import RagPipeline
from vision.training.image_text_pairs import Pair, pairs

TOP = 10
ROWS = (("pixels", False, ("image",)), ("words on it", False, ("dense", "bm25")), ("pixels + words", False, ("dense", "bm25", "image")),
        ("words + text around", True, ("dense", "bm25")), ("pixels + words + text around", True, ("dense", "bm25", "image")))  # fmt: skip


def page(figure: Pair, folder: Path, said: str) -> None:
    figure.image.convert("RGB").save(folder / f"{figure.name}.png")
    (folder / f"{figure.name}.html").write_text(f'<p></p><img src="{figure.name}.png" alt="{escape(said)}">')


def found(rag: RagPipeline, figures: list[Pair], asked: int, channels: tuple[str, ...]) -> np.ndarray:
    """Whether each figure is among the first ones for its text number `asked`."""
    hits = ({Path(hit.document).stem for hit in rag.search(figure.texts[asked], TOP, channels=channels)} for figure in figures)
    return np.array([figure.name in names for figure, names in zip(figures, tqdm(hits, total=len(figures), disable=None), strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--dev", action="store_true", help="the figures of the other books that are held out of training")
    options = parser.parse_args()
    split = "dev" if options.dev else "test"
    figures = [one for one in pairs(options.data, made=False) if one.kind == "figure" and one.split == split and len(one.texts) == 2][: options.limit]
    for asked, name in ((1, "caption"), (0, "description")):
        with tempfile.TemporaryDirectory() as folder:
            for around in (False, True):
                place = Path(folder) / str(around)
                place.mkdir()
                for figure in figures:
                    page(figure, place, figure.texts[1 - asked] if around else "")
                build(sorted(place.glob("*.html")), place / "index")
                rag = RagPipeline.from_index(place / "index", generator="quote")
                for row, needs, channels in ROWS:
                    if needs == around:
                        right = found(rag, figures, asked, channels)
                        low, high = np.quantile(np.random.default_rng(0).choice(right, (1000, len(right))).mean(1), (0.025, 0.975))
                        print(f"{name}, {row}: recall@{TOP} {right.mean():.3f} ({low:.3f} to {high:.3f}) among {len(figures)}", flush=True)


if __name__ == "__main__":
    main()
