"""What passes between the parts of the reader: what an encoder computes, a window that was read, an answer found in it.

Knows no weights and no session. Shapes: B windows in a batch, S tokens, W width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from models.reader.ablation import Block
from models.reader.coordinates import BlockModality
from models.reader.flops import Cost
from models.reader.sequences import Sequences
from models.reader.windows import Passage


class Computed(NamedTuple):
    """What an encoder computes of a batch.

    states: what a decoder reads, where there is one. costs: of each row, where they are counted.
    """

    spans: np.ndarray  # (B, S, 2): logits of start and end
    judged: np.ndarray  # (B, 2): logits of answerable and evidence
    states: np.ndarray | None = None  # (B, S, W) float16
    costs: Sequence[Cost] = ()  # (B,)


Compute = Callable[[Sequences], Computed]


@runtime_checkable
class CachesBlocks(Protocol):
    """A Compute with a cache of block states, which can be filled before any question is asked."""

    def keep(self, rows: Sequences) -> None: ...


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a passage that was read, or for which there was no budget."""

    passage: int  # its number
    offsets: Sequence[tuple[int, int]]  # characters of each token
    ids: Sequence[int]
    spans: np.ndarray  # (tokens, 2): log-odds of start and end against "not here"
    judged: np.ndarray  # (2,)
    block: Block | None  # what a decoder can read
    summary: np.ndarray | None  # (W,) float16: the state of [CLS], of which the heads judge the window
    was_read: bool  # False where there was no budget for it
    modality: BlockModality
    cost: Cost


@dataclass(frozen=True, slots=True)
class Finding:
    """The best answer to a question in a part of a passage: `text[start:end]`.

    span: log-odds of that answer against "not here". answerable, evidence: logits of the two heads in its window.
    margin: log-odds of the answer against the best one elsewhere in that part.
    """

    start: int
    end: int
    span: float
    answerable: float
    evidence: float
    margin: float = math.inf


NOTHING = Finding(0, 0, -math.inf, -math.inf, -math.inf)  # where there was nothing to read


class ReadsPairs(Protocol):
    """What an evaluation needs of a reader."""

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]:
        """One finding for each question in its own passage."""
