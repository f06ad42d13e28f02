"""How many operations the reader spends on what: `python bench/routing.py FILE... [--limit N] [--model DIR]`.

FILES are questions with their passage (DATA/qa/dev). Each is read with its own passage and with that of another question of its file. A line for each
difficulty: questions parted in four by how clearly the best answer beats the second one, then by what came of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from models.common.metrics import squad
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.reader.types import Finding
from models.reader.windows import Passage
from models.training.question_sets import QaRow, read_qa

PARTS = 4
RIGHT = 0.8  # F1


@dataclass(frozen=True, slots=True)
class Read:
    kind: str
    margin: float
    null: float  # share of null experts
    flops: float  # a token


def read(reader: Reader, question: str, passage: Passage) -> tuple[Finding, float, float]:
    """What was found, the share of null experts, operations a token."""
    [[finding]], windows = reader.study(question, [passage], [[(0, len(passage.text))]])
    spent, tokens = [one.cost for one in windows], sum(len(one.ids) for one in windows)
    return finding, sum(one.null for one in spent) / max(1, sum(one.routed for one in spent)), sum(one.flops for one in spent) / max(1, tokens)


def outcome(row: QaRow, finding: Finding) -> str:
    if row.unanswerable:
        return "marked as unanswerable"
    return "answered rightly" if squad(row.context[finding.start : finding.end], [answer.text for answer in row.answers])[1] >= RIGHT else "answered wrongly"


def all_read(reader: Reader, files: list[Path], limit: int) -> Iterator[Read]:
    for file in files:
        rows = [row for row in read_qa(file) if row.unanswerable or row.span][:limit]
        for at, row in enumerate(tqdm(rows, desc=file.name, disable=None)):
            finding, null, flops = read(reader, row.question, Passage(row.context, row.title, row.boxes))
            yield Read(outcome(row, finding), finding.margin, null, flops)
            other = next((one for one in rows[at + 1 :] + rows[:at] if one.context != row.context), None)
            if other:
                yield Read("another's passage", 0.0, *read(reader, row.question, Passage(other.context, other.title, other.boxes))[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=100, help="questions of each file (100)")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER)
    options = parser.parse_args()
    made = list(all_read(Reader(shipped_weights.encoder(shipped_weights.describe(options.model))), options.files, options.limit))
    own = sorted((one for one in made if one.kind.startswith("answered") and np.isfinite(one.margin)), key=lambda one: -one.margin)
    groups = {f"answerable, {part + 1} of {PARTS} from the clearest": own[part * len(own) // PARTS : (part + 1) * len(own) // PARTS] for part in range(PARTS)}
    groups |= {kind: [one for one in made if one.kind == kind] for kind in sorted({one.kind for one in made})}
    print("| questions | n | to null experts | million operations a token |\n|---|---|---|---|")
    for name, some in groups.items():
        print(f"| {name} | {len(some)} | {np.mean([one.null for one in some]):.3f} | {np.mean([one.flops for one in some]) / 1e6:.2f} |")


if __name__ == "__main__":
    main()
