"""What the share of the image channel costs questions about texts, and what it gives those about pictures: `python bench/picture_shares.py DATA WORK`.

Held-out pictures without a telling name among passages of development questions: recall@10 and mean reciprocal rank, fused, by share. WORK keeps the index.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from indexing.build.run import build
from models.training.question_sets import read_qa
from rag import RagPipeline
from rag.retrieve import retriever
from vision.images import to_rgb
from vision.training.image_text_pairs import pairs

MOST = {"icon": 120, "emoji": 40, "figure": 60, "photo": 90}
SETS, PASSAGES = ("squad2_dev", "policyqa", "covidqa"), 350
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)

Asked = list[tuple[str, str, str]]  # question, file, kind


def pictures(data: Path, folder: Path) -> Asked:
    counts: dict[str, int] = {}
    asked: Asked = []
    for pair in pairs(data, made=False):
        number = counts.get(pair.kind, 0)
        if pair.split == "dev" and number < MOST[pair.kind]:
            counts[pair.kind] = number + 1
            name = f"{pair.kind}{number:03d}.png"
            to_rgb(pair.image).save(folder / name)
            if pair.kind != "figure" or len(pair.texts) > 1:
                asked.append((pair.texts[pair.kind == "figure"], name, pair.kind))
    return asked


def passages(data: Path, folder: Path) -> Asked:
    first: dict[str, str] = {}
    for name in SETS:
        for row in read_qa(data / "qa" / "dev" / f"{name}.jsonl.gz"):
            if row.answers and len(first) < PASSAGES:
                first.setdefault(row.context, row.question)
    for number, context in enumerate(first):
        (folder / f"p{number:03d}.txt").write_text(context)
    return [(question, f"p{number:03d}.txt", "text") for number, question in enumerate(first.values())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    options = parser.parse_args()
    folder = options.work / "files"
    folder.mkdir(parents=True, exist_ok=True)
    asked = [*passages(options.data, folder), *pictures(options.data, folder)]
    build([folder], options.work / "index")
    rag = RagPipeline.from_index(options.work / "index", generator="quote")
    for share in SHARES:
        retriever.picture_share = lambda question, *, given, share=share: share
        found: dict[str, list[float]] = {}
        for question, file, kind in asked:
            names = [Path(hit.document).name for hit in rag.search(question, 10)]
            found.setdefault(kind, []).append(1 / (1 + names.index(file)) if file in names else 0.0)
        print(share, *(f"{kind} {np.mean(np.array(ranks) > 0):.3f} ({np.mean(ranks):.3f}) of {len(ranks)}" for kind, ranks in found.items()), sep="  ", flush=True)


if __name__ == "__main__":
    main()
