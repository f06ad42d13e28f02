"""Key-value caches of the decoder: bytes, speed of writing and F1 with each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.systems._writing import cost, opened
from bench.systems.common import Row
from models.systems.write import Decoding

EACH = 5  # questions of a set
CACHES = {
    "dynamic": Decoding(),
    "static": Decoding(cache="static"),
    "sliding, 32 tokens": Decoding(window=32, cache="sliding"),
    "sliding, 8 tokens": Decoding(window=8, cache="sliding"),
    "quantised, 8 bits": Decoding(cache="quantised"),
    "quantised, 4 bits": Decoding(cache="quantised", bits=4),
}


def measure(data: Path) -> Iterator[Row]:
    reader, lengths = opened(data, EACH)
    for length, questions in lengths.items():
        for name, decoding in CACHES.items():
            one = cost(reader, questions, decoding)
            yield Row("KV cache", f"{name}; {length}", {
                "bytes a token": round(one.cache_bytes), "tokens/s": round(one.tokens_per_second, 1),
                "F1": round(one.f1, 3),
            })  # fmt: skip
