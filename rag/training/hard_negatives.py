"""What the project's own retriever finds beside the right passage: training's hard negatives, and rankings to measure on.

    python -m rag.training.hard_negatives DATA OUT

One line in OUT/SPLIT/SET.jsonl.gz for every row of DATA/qa/SPLIT/SET.jsonl.gz, in its order: {"question", "own_ranks",
"candidates": [{"text", "title", "ranks"}]}. Candidates are chunks of other passages that do not hold the answer, best first;
`ranks` has the place of the chunk in each channel's list and in the fused one, and `own_ranks` that of the question's own
passage, where they found it. Training questions get chunks of training passages only.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
from pathlib import Path

from tqdm import tqdm

from indexing.build.run import build
from models.training.question_sets import STANDALONE_SETS, QaRow, read_qa
from rag.pipeline import RagPipeline

KEEP = {"train": 3, "dev": 19}
QUESTIONS = {"train": 2500, "dev": 200}  # of each set at most
DEPTH = 60


def key(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def holds(text: str, row: QaRow) -> bool:
    """Whether a text answers the question too, as far as a comparison of letters tells."""
    if row.kind not in ("extractive", "table"):
        return False
    low = " ".join(text.lower().split())
    return any(" ".join(answer.text.lower().split()) in low for answer in row.answers if answer.text.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    for name in STANDALONE_SETS:
        rows = {split: read_qa(options.data / "qa" / split / f"{name}.jsonl.gz") for split in KEEP}
        passages = {key(row.context): row for split in rows for row in rows[split]}
        trained = {key(row.context) for row in rows["train"]}
        work = options.out / "work" / name
        work.mkdir(parents=True, exist_ok=True)
        corpus = work / "corpus.jsonl"
        lines = [json.dumps({"_id": id, "title": row.title, "text": row.context}) + "\n" for id, row in sorted(passages.items())]
        corpus.write_text("".join(lines))
        build([corpus], work / "index")
        rag = RagPipeline.from_index(work / "index")
        for split, keep in KEEP.items():
            target = options.out / split / f"{name}.jsonl.gz"
            if target.exists():
                continue
            target.parent.mkdir(exist_ok=True)
            chosen = {i for i in range(len(rows[split])) if not rows[split][i].unanswerable}
            chosen = set(random.Random(0).sample(sorted(chosen), min(QUESTIONS[split], len(chosen))))
            with gzip.open(target.with_suffix(".part"), "wt", compresslevel=3) as file:
                for i, row in enumerate(tqdm(rows[split], desc=f"{name} {split}", mininterval=20)):
                    line = {"question": row.question, "own_ranks": {}, "candidates": []}
                    for place, piece in enumerate(rag.search(row.question, DEPTH) if i in chosen else (), 1):
                        document = piece.document.rpartition("#")[2]
                        ranks = {"fused": place} | {name: found.rank for name, found in piece.channels.items()}
                        if document == key(row.context):
                            line["own_ranks"] = line["own_ranks"] or ranks
                        elif len(line["candidates"]) < keep and (split == "dev" or document in trained) and not holds(piece.text, row):
                            line["candidates"].append({"text": piece.text, "title": passages[document].title, "ranks": ranks})
                    file.write(json.dumps(line) + "\n")
            target.with_suffix(".part").replace(target)


if __name__ == "__main__":
    main()
