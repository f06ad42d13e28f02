"""What reading costs, summed while it goes on; and how much of the memory's bandwidth it used."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from models.reader.flops import Cost
from models.reader.sequences import Sequences
from models.reader.types import Compute, Computed

COPIED = 256 * 2**20  # bytes


@dataclass(slots=True)
class Meter:
    """A `compute` that counts; not thread-safe."""

    compute: Compute
    tokens: int = 0
    seconds: float = 0.0
    spent: Cost = field(default_factory=Cost)

    def __call__(self, rows: Sequences) -> Computed:
        began = time.perf_counter()
        made = self.compute(rows)
        self.seconds += time.perf_counter() - began
        self.tokens += int(rows.attention_mask.sum())
        self.spent = Cost(*map(sum, zip(self.spent, *made.costs, strict=True)))
        return made

    def figures(self) -> dict[str, float]:
        """bandwidth: the share of what this machine copies in that time; null: of the times that a token was routed, to a null expert."""
        per_second = self.spent.bytes / max(self.seconds, 1e-9)
        return {
            "null": round(self.spent.null / max(1, self.spent.routed), 4), "flops_per_token": round(self.spent.flops / max(1, self.tokens)), "bytes_per_token": round(self.spent.bytes / max(1, self.tokens)),
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9)), "bandwidth": round(per_second / bandwidth(), 4),
        }


@cache
def bandwidth() -> float:
    """Bytes a second that this machine reads and writes when it copies, the best of five."""
    source = np.zeros(COPIED, np.uint8)
    target = np.empty_like(source)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - began)
    return 2 * COPIED / min(times)
