"""Speculative decoding: tokens accepted in each pass of the decoder, and the speed-up over greedy search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.systems._writing import cost, opened
from bench.systems.common import Row
from models.systems.speculative_decoding import lower_half
from models.systems.write import SOURCES, Decoding

EACH = 6  # questions of a set


def measure(data: Path) -> Iterator[Row]:
    """The assistant is the lower half of the decoder, which was not trained to write by itself."""
    reader, lengths = opened(data, EACH)
    assistant = lower_half(reader.model)
    for length, questions in lengths.items():
        greedy = cost(reader, questions, Decoding())
        for source in SOURCES:
            one = cost(reader, questions, Decoding(speculate=source), assistant)
            figures = {"accepted a step": round(one.accepted, 2), "speed-up": round(greedy.ms / one.ms, 2)}
            yield Row("speculative decoding", f"{source}; {length}", figures)
