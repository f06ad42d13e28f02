"""Parallel sampling: several answers at once, of which the one that is grounded best is said (best of n, arXiv 2407.21787 on how far that goes).

An answer's score is what the decoder and the judge of memory say together, as of drafts that are verified (models.network.grounded_reader): its log-probability, and the log-odds of
the span head for where it was copied from. Legend: A tokens of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.network.grounded_reader import Recalled, Traced, written_length


@dataclass(frozen=True, slots=True)
class Sample:
    """tokens: without the end; chance: log-probability of these and the end; place: (block, first, last) of context tokens, Recalled.placed.

    copied: share of the tokens that stand there one behind the other. score: how well it is grounded, -inf where nothing was copied.
    """

    tokens: tuple[int, ...]
    chance: float
    place: tuple[int, int, int] | None
    copied: float
    score: float


def samples(recalled: Recalled, tokens: Sequence[Sequence[int]], traced: Traced) -> list[Sample]:
    """What was written in answer to the first question, one after the other. tokens: of each answer, its end and padding included."""
    odds, made = recalled.log_odds(), []  # (blocks, T, 2)
    for answer, slots, chances in zip(tokens, traced.slots.tolist(), traced.chances.tolist(), strict=True):
        length = written_length(answer)
        chance, slots = sum(chances[: length + 1]), slots[:length]
        place, score = recalled.placed(0, slots), -math.inf
        if place:
            block = recalled.blocks[place[0]]
            start, end = (at - block.first + block.title for at in place[1:])
            score = chance + float(odds[place[0], start, 0] + odds[place[0], end, 1])
        made.append(Sample(tuple(answer[:length]), chance, place, run(slots) / max(1, length), score))
    return made


def best(drawn: Sequence[Sample]) -> Sample:
    """The best grounded one; where none is copied, the likeliest."""
    return max(drawn, key=lambda one: (one.score, one.chance))


def run(slots: Sequence[int]) -> int:
    """The longest run of slots that follow each other."""
    longest = current = 0
    for before, slot in zip([-2, *slots], slots, strict=False):
        current = 0 if slot < 0 else current + 1 if slot == before + 1 else 1
        longest = max(longest, current)
    return longest
