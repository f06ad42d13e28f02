"""How many operations the reader spends on questions, by their difficulty.

    python -m bench.routing FILE... [--limit N] [--model DIR] [--json]

FILES are questions with their passage (DATA/qa/dev). Each question is read with its own passage and with one of another
question of its file. Figures: questions in four parts by the margin of the best answer over the second one, then by
the outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bench.common import parser_of, report
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
    cost, tokens = [one.cost for one in windows], sum(len(one.ids) for one in windows)
    null = sum(one.null for one in cost) / max(1, sum(one.routed for one in cost))
    return finding, null, sum(one.flops for one in cost) / max(1, tokens)


def outcome(row: QaRow, finding: Finding) -> str:
    if row.unanswerable:
        return "marked as unanswerable"
    _, f1 = squad(row.context[finding.start : finding.end], [answer.text for answer in row.answers])
    return "answered rightly" if f1 >= RIGHT else "answered wrongly"


def all_read(reader: Reader, files: list[Path], limit: int) -> Iterator[Read]:
    for file in files:
        rows = [row for row in read_qa(file) if row.unanswerable or row.span][:limit]
        for at, row in enumerate(tqdm(rows, desc=file.name, disable=None)):
            finding, null, flops = read(reader, row.question, Passage(row.context, row.title, row.boxes))
            yield Read(outcome(row, finding), finding.margin, null, flops)
            other = next((one for one in rows[at + 1 :] + rows[:at] if one.context != row.context), None)
            if other:
                passage = Passage(other.context, other.title, other.boxes)
                yield Read("another's passage", 0.0, *read(reader, row.question, passage)[1:])


def grouped(made: list[Read]) -> dict[str, list[Read]]:
    """Group of questions -> how they were read."""
    answered = (one for one in made if one.kind.startswith("answered") and np.isfinite(one.margin))
    own = sorted(answered, key=lambda one: -one.margin)
    edges = [part * len(own) // PARTS for part in range(PARTS + 1)]
    groups = {
        f"answerable, {part} of {PARTS} from the clearest": own[start:end]
        for part, (start, end) in enumerate(pairwise(edges), 1)
    }
    return groups | {kind: [one for one in made if one.kind == kind] for kind in sorted({one.kind for one in made})}


def main() -> None:
    parser = parser_of("routing", __doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--limit", type=int, default=100, help="questions of each file (100)")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER)
    options = parser.parse_args()
    reader = Reader(shipped_weights.encoder(shipped_weights.describe(options.model)))
    groups = grouped(list(all_read(reader, options.files, options.limit)))
    report(parser, options, {name: costs(group) for name, group in groups.items() if group})


def costs(group: list[Read]) -> dict[str, float]:
    """Share of null experts, and operations a token in millions."""
    null, flops = np.mean([one.null for one in group]), np.mean([one.flops for one in group])
    return {"questions": len(group), "to null experts": float(null), "Mflop a token": float(flops) / 1e6}


if __name__ == "__main__":
    main()
