"""Speculative decoding: tokens accepted in a pass of the decoder, and how much faster than greedy search an answer is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.systems._writing import cost, opened
from bench.systems.common import Row
from models.systems.speculative_decoding import lower_half
from models.systems.write import GUESSES, Manner

EACH = 6  # questions of a set


def measure(data: Path) -> Iterator[Row]:
    """The assistant is the lower half of the decoder, which was not trained to speak."""
    reader, lengths = opened(data, EACH)
    assistant = lower_half(reader.model)
    for length, asked in lengths.items():
        greedy = cost(reader, asked, Manner())
        for guess in GUESSES:
            one = cost(reader, asked, Manner(speculate=guess), assistant)
            yield Row("speculative decoding", f"{guess}; {length}", {"accepted a step": round(one.accepted, 2), "speed-up": round(greedy.ms / one.ms, 2)})
