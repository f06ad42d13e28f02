"""Recall@10 of figures of an unseen book by their captions and by their descriptions.

    python -m bench.pictures DATA [--limit N] [--dev] [--json]

Each figure is indexed as a web page, once without a text and once with the other one of its two texts. It is searched
by its pixels alone, by the words on it, by both, and by all with the text around it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

from tqdm import tqdm

from bench.common import note, parser_of, report
from indexing.build.run import build
from models.common.metrics import Score, mean
from rag import RagPipeline
from vision.training.image_text_pairs import Pair, pairs

TOP = 10
WORDS, PIXELS = ("dense", "bm25"), ("image",)
ROWS = {  # what is searched -> whether the page has a text, channels
    "pixels": (False, PIXELS), "words on it": (False, WORDS), "pixels + words": (False, WORDS + PIXELS),
    "words + text around": (True, WORDS), "pixels + words + text around": (True, WORDS + PIXELS),
}  # fmt: skip
QUERIES = {"caption": 1, "description": 0}  # number of the text in Pair.texts


def page(figure: Pair, folder: Path, text: str) -> None:
    figure.image.convert("RGB").save(folder / f"{figure.name}.png")
    (folder / f"{figure.name}.html").write_text(f'<p></p><img src="{figure.name}.png" alt="{escape(text)}">')


def found(rag: RagPipeline, figures: list[Pair], query: int, channels: tuple[str, ...]) -> Score:
    """Recall@10. query: the number of the text that is searched for."""
    right = []
    for figure in tqdm(figures, disable=None):
        hits = rag.search(figure.texts[query], TOP, channels=channels)
        right.append(figure.name in {Path(hit.document).stem for hit in hits})
    return mean(right)


def measure(figures: list[Pair], query: int) -> Iterator[tuple[str, Score]]:
    with tempfile.TemporaryDirectory() as work:
        for with_text in (False, True):
            folder = Path(work) / str(with_text)
            folder.mkdir()
            for figure in figures:
                page(figure, folder, figure.texts[1 - query] if with_text else "")
            build(sorted(folder.glob("*.html")), folder / "index")
            rag = RagPipeline.from_index(folder / "index", generator="quote")
            for row, (needs_text, channels) in ROWS.items():
                if needs_text == with_text:
                    yield row, found(rag, figures, query, channels)


def main() -> None:
    parser = parser_of("pictures", __doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=1000, help="figures (1000)")
    parser.add_argument("--dev", action="store_true", help="the held-out figures of the other books instead")
    options = parser.parse_args()
    split = "dev" if options.dev else "test"
    of_split = [one for one in pairs(options.data, made=False) if one.kind == "figure" and one.split == split]
    figures = [one for one in of_split if len(one.texts) == 2][: options.limit]
    recalls: dict[str, dict[str, Score]] = {}
    for name, query in QUERIES.items():
        for row, recall in measure(figures, query):
            recalls.setdefault(name, {})[row] = recall
            note(f"{name}, {row}: {recall}")
    report(parser, options, {f"recall@{TOP} by {name}": rows for name, rows in recalls.items()})


if __name__ == "__main__":
    main()
