"""Mines hard negatives with Folio's own retriever: `python -m rag.training.hard_negatives DATA OUT`.

Out: one line in OUT/SPLIT/SET.jsonl.gz for every row of DATA/qa/SPLIT/SET.jsonl.gz, in its order: {"question",
"own_ranks", "candidates": [{"text", "title", "ranks"}]}. Candidates are chunks of other passages without the answer,
best first. `ranks` has the rank of the chunk in each channel and in the fused list; `own_ranks` the same of the
question's own passage, where it was found. Training questions get chunks of training passages only.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from indexing.build.run import build
from models.training.question_sets import STANDALONE_SETS, QaRow, read_qa
from rag.pipeline import RagPipeline
from rag.types import Evidence

KEEP = {"train": 3, "dev": 19}  # candidates of a question; with its own passage 20 are ranked in bench.evidence
QUESTIONS = {"train": 2500, "dev": 200}  # of each set at most
DEPTH = 60  # chunks that are looked through for candidates


def key(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def holds(text: str, row: QaRow) -> bool:
    """Whether a text has an answer of the question word for word, in any case and with any white space."""
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
        mine_set(options.data, options.out, name)


def mine_set(data: Path, out: Path, name: str) -> None:
    """Mine both splits of a set over one index of all its passages. A split that is there already is left as it is."""
    rows = {split: read_qa(data / "qa" / split / f"{name}.jsonl.gz") for split in KEEP}
    passages = {key(row.context): row for split in rows for row in rows[split]}
    trained = {key(row.context) for row in rows["train"]}
    work = out / "work" / name
    work.mkdir(parents=True, exist_ok=True)
    corpus = work / "corpus.jsonl"
    records = ({"_id": id, "title": row.title, "text": row.context} for id, row in sorted(passages.items()))
    corpus.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([corpus], work / "index")
    rag = RagPipeline.from_index(work / "index")
    for split in KEEP:
        target = out / split / f"{name}.jsonl.gz"
        if target.exists():
            continue
        target.parent.mkdir(exist_ok=True)
        usable = passages if split == "dev" else {id: passages[id] for id in trained}
        asked = [i for i, row in enumerate(rows[split]) if not row.unanswerable]
        chosen = set(random.Random(0).sample(asked, min(QUESTIONS[split], len(asked))))
        with gzip.open(target.with_suffix(".part"), "wt", compresslevel=3) as file:
            for i, row in enumerate(tqdm(rows[split], desc=f"{name} {split}", mininterval=20)):
                found = rag.search(row.question, DEPTH) if i in chosen else ()
                file.write(json.dumps(mined(row, found, usable, KEEP[split])) + "\n")
        target.with_suffix(".part").replace(target)


def mined(row: QaRow, found: Sequence[Evidence], usable: dict[str, QaRow], keep: int) -> dict[str, Any]:
    """The line of a question. found: chunks, best first. usable: the passages that candidates may come from, by key."""
    line = {"question": row.question, "own_ranks": {}, "candidates": []}
    for place, piece in enumerate(found, 1):
        document = piece.document.rpartition("#")[2]
        ranks = {"fused": place} | {name: channel.rank for name, channel in piece.channels.items()}
        if document == key(row.context):
            line["own_ranks"] = line["own_ranks"] or ranks
        elif len(line["candidates"]) < keep and document in usable and not holds(piece.text, row):
            line["candidates"].append({"text": piece.text, "title": usable[document].title, "ranks": ranks})
    return line


if __name__ == "__main__":
    main()
