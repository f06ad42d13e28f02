"""Parallel sampling: of several sampled answers the best grounded one is given (best of n, arXiv 2407.21787).

In: sampled answers with the memory slots that their tokens were copied from. Out: a score for each, as for verified
drafts (models.network.grounded_reader): the decoder's log-probability of the answer, plus the span head's log-odds of
the place that it was copied from. Legend: A tokens of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.network.grounded_reader import Recalled, Traced, written_length


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer.

    tokens: without the end. log_probability: of the tokens and the end. place: (block, first, last) of the context
    tokens that it was copied from, as of Recalled.placed. copied: share of the tokens in the longest run that follow
    each other in memory. score: of grounding, -inf where nothing was copied.
    """

    tokens: tuple[int, ...]
    log_probability: float
    place: tuple[int, int, int] | None
    copied: float
    score: float


def samples(recalled: Recalled, tokens: Sequence[Sequence[int]], traced: Traced) -> list[Sample]:
    """The sampled answers to the first question, scored. tokens: (answers, A), with the end and padding."""
    odds, scored = recalled.log_odds(), []  # (blocks, T, 2)
    for answer, slots, log_probabilities in zip(tokens, traced.slots.tolist(), traced.chances.tolist(), strict=True):
        length = written_length(answer)
        log_probability, slots = sum(log_probabilities[: length + 1]), slots[:length]
        place, score = recalled.placed(0, slots), -math.inf
        if place:
            block = recalled.blocks[place[0]]
            start, end = (at - block.first + block.title for at in place[1:])
            score = log_probability + float(odds[place[0], start, 0] + odds[place[0], end, 1])
        copied = longest_run(slots) / max(1, length)
        scored.append(Sample(tuple(answer[:length]), log_probability, place, copied, score))
    return scored


def best(drawn: Sequence[Sample]) -> Sample:
    """The best grounded sample; where none is copied, the likeliest."""
    return max(drawn, key=lambda one: (one.score, one.log_probability))


def longest_run(slots: Sequence[int]) -> int:
    """The length of the longest run of slots that follow each other; -1 is no slot and ends a run."""
    longest = current = 0
    for before, slot in zip([-2, *slots], slots, strict=False):
        current = 0 if slot < 0 else current + 1 if slot == before + 1 else 1
        longest = max(longest, current)
    return longest
