"""What the image channel's share in the fusion costs queries about texts, and brings queries about images.

    python -m bench.picture_shares DATA WORK [--json]

Held-out images without a telling name are indexed among passages of development questions. Figures: recall@10 and mean
reciprocal rank by share. WORK keeps the index. The image_shares of data/weights/calibration.json were chosen by it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.common import note, parser_of, report
from indexing.build.run import build
from indexing.embedder import open_embedder
from indexing.index import Index
from models.training.question_sets import read_qa
from rag.calibration import ImageShares, calibration
from rag.config import RagConfig
from rag.image_features import ImageFeatures
from rag.retrieve.retriever import Retriever
from rag.understand import understand
from vision.images import to_rgb
from vision.training.image_text_pairs import pairs

MOST = {"icon": 120, "emoji": 40, "figure": 60, "photo": 90}  # images of a kind
SETS, PASSAGES = ("squad2_dev", "policyqa", "covidqa"), 350
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
TOP = 10

Queries = list[tuple[str, str, str]]  # query, file, kind


def pictures(data: Path, folder: Path) -> Queries:
    """Write images to the folder; the queries for them."""
    counts: dict[str, int] = {}
    queries: Queries = []
    for pair in pairs(data, made=False):
        number = counts.get(pair.kind, 0)
        if pair.split == "dev" and number < MOST[pair.kind]:
            counts[pair.kind] = number + 1
            name = f"{pair.kind}{number:03d}.png"
            to_rgb(pair.image).save(folder / name)
            if pair.kind != "figure" or len(pair.texts) > 1:
                queries.append((pair.texts[pair.kind == "figure"], name, pair.kind))
    return queries


def passages(data: Path, folder: Path) -> Queries:
    """Write passages to the folder; a question for each."""
    first: dict[str, str] = {}
    for name in SETS:
        for row in read_qa(data / "qa" / "dev" / f"{name}.jsonl.gz"):
            if row.answers and len(first) < PASSAGES:
                first.setdefault(row.context, row.question)
    for number, context in enumerate(first):
        (folder / f"p{number:03d}.txt").write_text(context)
    return [(question, f"p{number:03d}.txt", "text") for number, question in enumerate(first.values())]


def measure(retriever: Retriever, queries: Queries) -> dict[str, dict[str, float]]:
    """Kind -> recall@10 and mean reciprocal rank."""
    ranks: dict[str, list[float]] = {}
    for query, file, kind in queries:
        evidence = retriever.retrieve(understand(query), TOP).evidence
        names = [Path(piece.document).name for piece in evidence]
        ranks.setdefault(kind, []).append(1 / (1 + names.index(file)) if file in names else 0.0)
    return {
        kind: {"recall@10": float(np.mean(np.array(found) > 0)), "MRR": float(np.mean(found)), "queries": len(found)}
        for kind, found in ranks.items()
    }


def main() -> None:
    parser = parser_of("picture_shares", __doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    options = parser.parse_args()
    folder = options.work / "files"
    folder.mkdir(parents=True, exist_ok=True)
    queries = [*passages(options.data, folder), *pictures(options.data, folder)]
    build([folder], options.work / "index")
    index, embedder, images = Index(options.work / "index"), open_embedder(), ImageFeatures()
    figures = {}
    for share in SHARES:
        fitted = replace(calibration(), image_shares=ImageShares(share, share, share))
        retriever = Retriever(index, embedder, RagConfig().depth, fitted, images)
        figures[f"share {share}"] = measure(retriever, queries)
        note(f"share {share}: {figures[f'share {share}']}")
    report(parser, options, figures)


if __name__ == "__main__":
    main()
