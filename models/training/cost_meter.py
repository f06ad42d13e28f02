"""Counts the tokens, time, operations and memory traffic of an encoder, and its share of the memory bandwidth."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from models.reader.flops import Cost
from models.reader.sequences import Sequences
from models.reader.types import Compute, Computed

COPY_BYTES = 256 * 2**20  # of the copy that measures the bandwidth: larger than the caches of a CPU
COPIES = 5  # of which the fastest counts


@dataclass(slots=True)
class Meter:
    """Wraps a `Compute` and counts what passes through it. Not thread-safe."""

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
        """null: the share of routed tokens sent to a null expert.

        bandwidth: the share of `bandwidth()` that was used.
        """
        tokens, seconds = max(1, self.tokens), max(self.seconds, 1e-9)
        return {
            "null": round(self.spent.null / max(1, self.spent.routed), 4),
            "flops_per_token": round(self.spent.flops / tokens),
            "bytes_per_token": round(self.spent.bytes / tokens),
            "tokens_per_second": round(self.tokens / seconds),
            "bandwidth": round(self.spent.bytes / seconds / bandwidth(), 4),
        }


@cache
def bandwidth() -> float:
    """Bytes per second that this machine reads and writes in a copy of COPY_BYTES, the best of COPIES."""
    source = np.zeros(COPY_BYTES, np.uint8)
    target = np.empty_like(source)
    times = []
    for _ in range(COPIES):
        began = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - began)
    return 2 * COPY_BYTES / min(times)
