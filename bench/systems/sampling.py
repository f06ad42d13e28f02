"""Parallel sampling: F1 of the best grounded of n answers, against its cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from bench.systems._writing import cost, opened
from bench.systems.common import Row, answered
from models.systems.write import Decoding

EACH = 4  # questions of a set
TEMPERATURE = 0.6
COUNTS = (1, 4, 8)
SYSTEM = "parallel sampling"


def measure(data: Path) -> Iterator[Row]:
    """Gain and cost are against greedy search; verified drafts, which write nothing, are given for their F1."""
    reader, lengths = opened(data, EACH)
    for length, questions in lengths.items():
        greedy = cost(reader, questions, Decoding())
        yield Row(SYSTEM, f"greedy; {length}", {"F1": round(greedy.f1, 3), "ms a question": round(greedy.ms, 1)})
        drafts = answered(reader.model, [one.row for one in questions])
        yield Row(SYSTEM, f"no sampling, drafts verified; {length}", {"F1": drafts["F1"]})
        for count in COUNTS:
            torch.manual_seed(0)
            one = cost(reader, questions, Decoding(samples=count, temperature=TEMPERATURE))
            yield Row(SYSTEM, f"n = {count}; {length}", {
                "F1": round(one.f1, 3), "gain": round(one.f1 - greedy.f1, 3), "ms a question": round(one.ms, 1),
                "times the cost": round(one.ms / greedy.ms, 2),
            })  # fmt: skip
