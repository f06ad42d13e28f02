"""How often a question's own passage comes first among 20 that the retriever found hard to tell apart.

    python bench/evidence.py DATA NEGATIVES [--model DIR]

NEGATIVES is what rag/training/hard_negatives.py wrote; only questions with all 19 other candidates count. The reader orders them by its
evidence head (`--model`: a folder of models.training.train; else the shipped weights), beside BM25, dense and their fusion.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

from models.common.metrics import mean
from models.reader.windows import Passage
from models.training.evaluate import open_reader
from models.training.question_sets import STANDALONE_SETS, read_qa

CHANNELS = ("bm25", "dense", "fused")
CANDIDATES = 19


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("negatives", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="questions of a set")
    options = parser.parse_args()
    reader = open_reader(options.model)
    first: dict[str, list[bool]] = {name: [] for name in (*CHANNELS, "evidence head", "both heads and the span")}
    for name in STANDALONE_SETS:
        path = options.negatives / "dev" / f"{name}.jsonl.gz"
        if not path.exists():
            continue
        rows = read_qa(options.data / "qa" / "dev" / f"{name}.jsonl.gz")
        with gzip.open(path, "rt") as file:
            lines = [json.loads(line) for line in file]
        chosen = [(row, line) for row, line in zip(rows, lines, strict=True) if len(line["candidates"]) == CANDIDATES]
        before = {key: len(values) for key, values in first.items()}
        for row, line in chosen[: options.limit]:
            for channel in CHANNELS:
                own = line["own_ranks"].get(channel, np.inf)
                first[channel].append(own < min(one["ranks"].get(channel, np.inf) for one in line["candidates"]))
            passages = [Passage(row.context, row.title), *(Passage(one["text"], one["title"]) for one in line["candidates"])]
            found = reader.read_pairs([(row.question, passage) for passage in passages])
            first["evidence head"].append(int(np.argmax([one.evidence for one in found])) == 0)
            first["both heads and the span"].append(int(np.argmax([one.evidence + one.answerable + one.span / 2 for one in found])) == 0)
        print(f"{name} (n={len(first['bm25']) - before['bm25']}): " + ", ".join(f"{key} {np.mean(values[before[key]:] or [np.nan]):.3f}" for key, values in first.items()))
    for key, values in first.items():
        print(f"{key:<24}{mean(values)}")


if __name__ == "__main__":
    main()
