"""Reads passages for a question: where the answer stands in each, and how sure that is. Imports no torch.

What computes the logits is handed in: a checkpoint through torch (models.floor) or the shipped int8 graph (models.shipped).
Shapes: B windows, S tokens.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models import base
from models.grid import HEADER, coordinates
from models.layout import QUESTION, TITLE, WINDOW, Parts, Sequences, collate

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STRIDE = 128  # a passage longer than WINDOW is read in windows that begin so many tokens apart
LONGEST = 48  # tokens of an answer
BATCH = 16  # windows of like length at once


@dataclass(frozen=True, slots=True)
class Passage:
    """title: whatever tells what the text is about; it is read, and no answer stands in it."""

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a passage, or a part of it, holds for a question: `text[start:end]` is its best answer.

    span: log-odds of that answer against "not here"; answerable, evidence: logits of the two heads, in the window of the answer.
    """

    start: int
    end: int
    span: float
    answerable: float
    evidence: float


class ReadsPairs(Protocol):
    """What an evaluation asks."""

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]: ...


NOTHING = Finding(0, 0, -math.inf, -math.inf, -math.inf)  # where there was nothing to read

# start and end logits (B, S, 2), answerable and evidence (B, 2)
Compute = Callable[[Sequences], tuple[np.ndarray, np.ndarray]]


def open_tokenizer() -> Tokenizer:
    """The base's own, neither cutting nor padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base.folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class Reader:
    """Thread-safe where `compute` is."""

    def __init__(self, compute: Compute) -> None:
        self._compute, self._tokenizer = compute, open_tokenizer()

    def read(self, question: str, passages: Sequence[Passage], units: Sequence[Sequence[tuple[int, int]]]) -> list[list[Finding]]:
        """For each passage the best answer within each of its units, which are spans of characters: sentences, cells."""
        return self._read([(question, passage) for passage in passages], units)

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]:
        """The best answer to each question anywhere in its own passage."""
        return [found for (found,) in self._read(pairs, [[(0, len(passage.text))] for _, passage in pairs])]

    def _read(self, pairs: Sequence[tuple[str, Passage]], units: Sequence[Sequence[tuple[int, int]]]) -> list[list[Finding]]:
        """A unit without a token gives NOTHING."""
        asked = self._tokens([question for question, _ in pairs])
        titles = self._tokens([passage.title for _, passage in pairs])
        contexts = self._tokens([passage.text for _, passage in pairs])
        grids = [coordinates(base.encodable(passage.text), context.offsets) for (_, passage), context in zip(pairs, contexts, strict=True)]
        windows = [(i, first) for i, context in enumerate(contexts) for first in starts(len(context.ids))]
        parts = [window(asked[i].ids, titles[i].ids, contexts[i].ids, grids[i], first) for i, first in windows]
        found = [[NOTHING] * len(mine) for mine in units]
        order = sorted(range(len(parts)), key=lambda at: len(parts[at]))
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            spans, judged = self._compute(collate([parts[at] for at in chosen]))
            for row, at in enumerate(chosen):
                i, first = windows[at]
                offsets, shift = contexts[i].offsets[first : first + WINDOW], parts[at].place
                for unit, (left, right) in enumerate(token_ranges(offsets, units[i])):
                    if left == right:
                        continue
                    span, start, end = best_span(spans[row], shift + left, shift + right)
                    if span > found[i][unit].span:
                        characters = offsets[start - shift][0], offsets[end - shift][1]
                        found[i][unit] = Finding(*characters, span, float(judged[row, 0]), float(judged[row, 1]))
        return found

    def _tokens(self, texts: list[str]) -> list:
        return self._tokenizer.encode_batch([base.encodable(text) for text in texts], add_special_tokens=False)


def window(question: Sequence[int], title: Sequence[int], context: Sequence[int], grid: np.ndarray, first: int) -> Parts:
    """The part of a context that begins at token `first`; where that is below the header of a table, under this header.

    grid: (tokens of the context, 2), models.grid.
    """
    above = np.empty(0, np.int64)
    if grid[first, 0] > HEADER:
        tops = np.flatnonzero(grid[:first, 0] == HEADER)
        outside = np.flatnonzero(grid[:first, 0] == 0)
        above = tops[tops > max(outside, default=-1)][:TITLE]
    heading = [*(context[at] for at in above), *title][:TITLE]
    return Parts(question[:QUESTION], heading, context[first : first + WINDOW], grid[above], grid[first : first + WINDOW])


def token_ranges(offsets: Sequence[tuple[int, int]], units: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(first, one past the last) of the tokens that begin within each unit; offsets and units ascend."""
    begins = [left for left, _ in offsets]
    return [(bisect_left(begins, start), bisect_left(begins, end)) for start, end in units]


def starts(length: int) -> list[int]:
    """Where the windows of a context of so many tokens begin; the last one ends with the context."""
    if length <= WINDOW:
        return [0] if length else []
    return [*range(0, length - WINDOW, STRIDE), length - WINDOW]


def best_span(logits: np.ndarray, left: int, right: int) -> tuple[float, int, int]:
    """The best answer within the tokens left..right-1: (log-odds against [CLS], first token, last token).

    logits: (S, 2), start and end. An answer has at most LONGEST tokens. The log-odds are of BERT's start times end probability.
    """
    start, end = logits[left:right, 0], logits[left:right, 1]
    n = right - left
    scores = start[:, None] + end[None, :]  # (n, n)
    reach = np.arange(n)[None, :] - np.arange(n)[:, None]
    scores = np.where((reach >= 0) & (reach < LONGEST), scores, -np.inf)
    first, last = divmod(int(np.argmax(scores)), n)
    return float(scores[first, last] - logits[0].sum()), left + first, left + last
