"""Which of some drafted answers the decoder would write, and whether it reads it in the block that is cited. Imports no torch.

Drafts are verified together in one pass, as the branches of a tree that grow from the question (SpecInfer's tree attention, arXiv
2305.09781); a second row of the same pass reads a memory from which the cited block is taken: the ablation of ContextCite
(arXiv 2409.00729), for one block. Legend: S slots of memory, W width, A tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.layout import CLOSED, CLS, QUESTION, SEP

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, slots=True)
class Block:
    """What a block is in memory: its tokens (S,) and their states (S, W), float16; `passage` is what it is a window of."""

    passage: int
    ids: np.ndarray
    states: np.ndarray


@dataclass(frozen=True, slots=True)
class Verifier:
    """session: the graph of models.decoder_graph. Thread-safe."""

    session: InferenceSession

    def chances(self, question: Sequence[int], answers: Sequence[Sequence[int]], memory: Sequence[Block], cited: int) -> np.ndarray:
        """Log-probabilities of the answers, with all of the memory and without the blocks of passage `cited`: (2, answers)."""
        prompt = [CLS, *question[:QUESTION], SEP]
        ids, positions, branch = list(prompt), list(range(len(prompt))), [-1] * len(prompt)
        places, labels, scored = [], [], []
        for number, answer in enumerate(answers):
            first = len(ids)
            ids += answer
            positions += range(len(prompt), len(prompt) + len(answer))
            branch += [number] * len(answer)
            places += [len(prompt) - 1, *range(first, first + len(answer))]
            labels += [*answer, SEP]
            scored += [number] * (len(answer) + 1)
        at, branches = np.arange(len(ids)), np.array(branch)
        seen = (at[None] <= at[:, None]) & ((branches[None] == -1) | (branches[None] == branches[:, None]))  # (A, A)
        of = np.concatenate([np.full(len(block.ids), block.passage) for block in memory])
        [found] = self.session.run(["chances"], {
            "input_ids": np.array(ids, np.int32), "positions": np.array(positions, np.int32), "mask": np.where(seen, 0, CLOSED).astype(np.float32),
            "places": np.array(places, np.int32), "labels": np.array(labels, np.int32),
            "states": np.concatenate([block.states for block in memory]), "ids": np.concatenate([block.ids for block in memory]).astype(np.int32),
            "before": np.concatenate([[0, *block.ids[:-1]] for block in memory]).astype(np.int32),
            "bias": np.stack([np.zeros(len(of)), np.where(of == cited, CLOSED, 0)]).astype(np.float32),
        })  # fmt: skip
        return np.stack([np.bincount(scored, row, len(answers)) for row in found])
