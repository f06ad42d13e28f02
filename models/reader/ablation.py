"""Whether the decoder reads an answer in the block that is cited for it. Imports no torch.

The answer's log-probability is taken with all of the memory and with a memory from which the cited block is taken: the ablation of
ContextCite (arXiv 2409.00729), for one block. Legend: S slots of memory, W width, A tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.reader.sequences import CLOSED, CLS, QUESTION, SEP

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, slots=True)
class Block:
    """What a block is in memory: its tokens (S,) and their states (S, W), float16; `passage` is what it is a window of."""

    passage: int
    ids: np.ndarray
    states: np.ndarray


class Tells(Protocol):
    def chances(self, question: Sequence[int], answer: Sequence[int], memory: Sequence[Block], cited: int) -> tuple[float, float]:
        """The answer's log-probability with all of the memory, and without the blocks of passage `cited`."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """session: the graph of models.reader.decoder_graph. Thread-safe."""

    session: InferenceSession

    def chances(self, question: Sequence[int], answer: Sequence[int], memory: Sequence[Block], cited: int) -> tuple[float, float]:
        prompt = [CLS, *question[:QUESTION], SEP]
        ids = np.array([*prompt, *answer], np.int32)  # (A,)
        of = np.concatenate([np.full(len(block.ids), block.passage) for block in memory])
        [found] = self.session.run(["chances"], {
            "input_ids": ids, "positions": np.arange(len(ids), dtype=np.int32), "mask": np.triu(np.full((len(ids), len(ids)), CLOSED, np.float32), 1),
            "places": np.arange(len(prompt) - 1, len(ids), dtype=np.int32), "labels": np.array([*answer, SEP], np.int32),
            "states": np.concatenate([block.states for block in memory]), "ids": np.concatenate([block.ids for block in memory]).astype(np.int32),
            "before": np.concatenate([[0, *block.ids[:-1]] for block in memory]).astype(np.int32),
            "bias": np.stack([np.zeros(len(of)), np.where(of == cited, CLOSED, 0)]).astype(np.float32),
        })  # fmt: skip
        chance, without = found.sum(1).tolist()
        return chance, without
