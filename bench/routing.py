"""What the router saves and costs: each question over its own passage and seven that are hard to tell from it.

    python bench/routing.py DATA NEGATIVES [--model DIR] [--limit N]

NEGATIVES is what bench/hard_negatives.py wrote. The answer is that of the block which the evidence and answerable heads and the
span like best; once all blocks are read with the question ("live"), once those that the router lets through. Difficulty is where the
retriever's fusion has the own passage. Operations are counted by models.flops, with the lower states of blocks at hand (kept) or not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from models import flops, shipped
from models.metrics import mean, squad
from models.qa import ANSWERED_SETS, read_qa
from models.reader import NOTHING, Passage, Reader, open_tokenizer

BLOCKS = 8
CLASSES = ("own passage first", "second or third", "below")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("negatives", type=Path)
    parser.add_argument("--model", type=Path, default=shipped.FOLDER, help="a folder of shipped weights")
    parser.add_argument("--limit", type=int, default=40, help="questions of a set")
    options = parser.parse_args()
    described = shipped.describe(options.model)
    routed = shipped.encoder(described)
    readers = {"live": Reader(replace(routed, router=None)), "routed": Reader(routed)}
    tokenizer, layers = open_tokenizer(), described.cached_layers
    lines: list[dict] = []
    for name in ANSWERED_SETS:
        path = options.negatives / "dev" / f"{name}.jsonl.gz"
        if not path.exists():
            continue
        with gzip.open(path, "rt") as file:
            found = [json.loads(line) for line in file]
        rows = read_qa(options.data / "qa" / "dev" / f"{name}.jsonl.gz")
        chosen = [pair for pair in zip(rows, found, strict=True) if pair[0].span and len(pair[1]["candidates"]) >= BLOCKS - 1]
        for row, line in chosen[: options.limit]:
            candidates = [Passage(row.context, row.title), *(Passage(one["text"], one["title"]) for one in line["candidates"][: BLOCKS - 1])]
            asked = 2 + len(tokenizer.encode(row.question, add_special_tokens=False).ids)
            sizes = [2 + len(tokenizer.encode(f"{one.title} {one.text}", add_special_tokens=False).ids) for one in candidates]
            rank = line["own_ranks"].get("fused", 99)
            measured: dict = {"class": CLASSES[0 if rank == 1 else 1 if rank <= 3 else 2]}
            for way, reader in readers.items():
                started = time.perf_counter()
                findings = reader.read_pairs([(row.question, passage) for passage in candidates])
                seconds = time.perf_counter() - started
                live = [finding != NOTHING for finding in findings]
                best = int(np.argmax([one.evidence + one.answerable + one.span / 2 for one in findings]))
                said = candidates[best].text[findings[best].start : findings[best].end] if live[best] else ""
                counted = [
                    sum(flops.reading(asked, size, cached_layers=layers, live=on, kept=kept) for size, on in zip(sizes, live, strict=True))
                    for kept in (False, True)
                ]
                measured[way] = {
                    "f1": squad(said, [answer.text for answer in row.answers])[1], "own first": best == 0 and live[0], "own read": live[0],
                    "blocks": sum(live), "gflops": counted[0] / 1e9, "gflops kept": counted[1] / 1e9, "ms": 1000 * seconds,
                }
            lines.append(measured)
    for name in ("all", *CLASSES):
        mine = [line for line in lines if name in ("all", line["class"])]
        print(f"{name} (n={len(mine)})")
        for way in readers:
            print(f"  {way:<7}" + "  ".join(f"{key} {mean([float(line[way][key]) for line in mine])}" for key in mine[0][way]) if mine else "")


if __name__ == "__main__":
    main()
