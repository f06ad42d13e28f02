"""Whether the decoder reads an answer in the block that is cited for it. Imports no torch.

The answer's log-probability is computed with all of the memory and with the cited passage masked: the ablation of
ContextCite (arXiv 2409.00729), for one passage. Legend: S slots of memory, W width, A tokens, M scored ones.
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
    """A block in memory: its tokens (S,), their states (S, W) float16, and the number of its passage."""

    passage: int
    ids: np.ndarray
    states: np.ndarray


class AnswerScorer(Protocol):
    def log_probabilities(
        self, question: Sequence[int], answer: Sequence[int], memory: Sequence[Block], cited: int
    ) -> tuple[float, float]:
        """The answer's log-probability with all of the memory, and without the blocks of passage `cited`.

        question, answer: token ids without special tokens.
        """


@dataclass(frozen=True, slots=True)
class Decoder:
    """An AnswerScorer. session: the graph of models.reader.decoder_graph. Thread-safe."""

    session: InferenceSession

    def log_probabilities(
        self, question: Sequence[int], answer: Sequence[int], memory: Sequence[Block], cited: int
    ) -> tuple[float, float]:
        """See AnswerScorer."""
        prompt = [CLS, *question[:QUESTION], SEP]
        ids = np.array([*prompt, *answer], np.int32)  # (A,)
        passages = np.concatenate([np.full(len(block.ids), block.passage) for block in memory])  # (S,)
        later = np.triu(np.full((len(ids), len(ids)), CLOSED, np.float32), 1)
        [scored] = self.session.run(["chances"], {
            "input_ids": ids, "positions": np.arange(len(ids), dtype=np.int32), "mask": later,
            "places": np.arange(len(prompt) - 1, len(ids), dtype=np.int32),
            "labels": np.array([*answer, SEP], np.int32),
            "states": np.concatenate([block.states for block in memory]),
            "ids": np.concatenate([block.ids for block in memory]).astype(np.int32),
            "before": np.concatenate([[0, *block.ids[:-1]] for block in memory]).astype(np.int32),
            "bias": np.stack([np.zeros(len(passages)), np.where(passages == cited, CLOSED, 0)]).astype(np.float32),
        })  # fmt: skip
        whole, without = scored.sum(1).tolist()  # of (2, M)
        return whole, without
