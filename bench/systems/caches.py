"""Key-value caches of the decoder: bytes and F1 of each, and how fast it writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.systems._writing import cost, opened
from bench.systems.common import Row
from models.systems.write import Manner

EACH = 5  # questions of a set
MANNERS = {
    "dynamic": Manner(), "static": Manner(cache="static"), "sliding, 32 tokens": Manner(window=32, cache="sliding"),
    "sliding, 8 tokens": Manner(window=8, cache="sliding"), "quantised, 8 bits": Manner(cache="quantised"), "quantised, 4 bits": Manner(cache="quantised", bits=4),
}  # fmt: skip


def measure(data: Path) -> Iterator[Row]:
    reader, lengths = opened(data, EACH)
    for length, asked in lengths.items():
        for name, manner in MANNERS.items():
            one = cost(reader, asked, manner)
            yield Row("KV cache", f"{name}; {length}", {"bytes a token": round(one.cache_bytes), "tokens/s": round(one.tokens_per_second, 1), "F1": round(one.f1, 3)})
