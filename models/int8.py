"""The memory encoder in int8 through ONNX Runtime: what a block is without a question is kept, the rest is computed live.

Imports no torch. Legend: B rows, S tokens, W width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.layout import PAD, ROUND, Sequences

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Kept(Protocol):
    """States of blocks by what they are of; may forget."""

    def get(self, key: str) -> bytes | None: ...

    def __setitem__(self, key: str, states: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Router:
    """The weights of a models.router.BlockRouter; blocks of a lower logit than `least` are not read."""

    question: np.ndarray  # (W, size)
    block: np.ndarray  # (W, size)
    weight: np.ndarray  # (W,)
    bias: float
    scale: np.ndarray  # (2,)
    least: float

    def logit(self, question: np.ndarray, block: np.ndarray) -> float:
        """Lower states (Q, W) and (T, W) of a question and a block -> how likely it is that the block holds evidence."""
        question, block = question.astype(np.float32), block.astype(np.float32)
        asked, held = unit(question @ self.question), unit(block @ self.block)
        weight = np.logaddexp(0, question @ self.weight + self.bias)  # (Q,)
        return float(self.scale[0] * (weight @ (asked @ held.T).max(1)) / max(weight.sum(), 1e-6) + self.scale[1])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Computes what models.reader reads by. Thread-safe where `kept` is; gives the same with and without it.

    lower, upper: the graphs of models.bert_graph; name: of their weights, part of the keys; router: None = every block is read.
    """

    lower: InferenceSession
    upper: InferenceSession
    name: str
    router: Router | None = None
    kept: Kept | None = None

    def __call__(self, rows: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """-> start and end logits (B, S, 2), answerable and evidence (B, 2). Of a block that is not worth it: surely nothing."""
        pairs = self.pairs(rows)
        live = [i for i, pair in enumerate(pairs) if self.router is None or self.router.logit(*pair) >= self.router.least]
        spans, judged = np.zeros((*rows.input_ids.shape, 2), np.float32), np.full((len(pairs), 2), -np.inf, np.float32)
        spans[:, 0] = np.inf
        if live:
            joint = np.zeros((len(live), rows.input_ids.shape[1], pairs[0][0].shape[1]), np.float16)  # (live, S, W)
            for at, i in enumerate(live):
                joint[at, : sum(map(len, pairs[i]))] = np.concatenate(pairs[i])
            mask = rows.attention_mask[live].astype(np.int32)
            spans[live], judged[live] = self.upper.run(["spans", "judged"], {"states": joint, "attention_mask": mask})
        return spans, judged

    def pairs(self, rows: Sequences) -> list[tuple[np.ndarray, np.ndarray]]:
        """The lower states of each row's question and block, (tokens, W) each."""
        lengths = rows.attention_mask.sum(1).tolist()
        asked = ((rows.token_type_ids == 0) & (rows.attention_mask == 1)).sum(1).tolist()  # tokens of each row's question
        questions = self.alone(rows, [(i, 0, first) for i, first in enumerate(asked)], {})
        blocks = self.alone(rows, [(i, *ends) for i, ends in enumerate(zip(asked, lengths, strict=True))], {} if self.kept is None else self.kept)
        return list(zip(questions, blocks, strict=True))

    def alone(self, rows: Sequences, parts: Sequence[tuple[int, int, int]], kept: Kept) -> list[np.ndarray]:
        """The lower states (tokens, W) of parts (row, first, end) that see nothing else; each distinct part is computed once."""
        keys = [self._key(rows, part) for part in parts]
        found = {key: np.frombuffer(states, np.float16) for key in dict.fromkeys(keys) if (states := kept.get(key)) is not None}
        missing = {key: part for key, part in zip(keys, parts, strict=True) if key not in found}
        if missing:
            states = self._run(rows, list(missing.values()))  # (missing, longest, W)
            for key, (_, first, end), mine in zip(missing, missing.values(), states, strict=True):
                found[key] = mine[: end - first].reshape(-1)
                kept[key] = found[key].tobytes()
        return [found[key].reshape(end - first, -1) for key, (_, first, end) in zip(keys, parts, strict=True)]

    def _key(self, rows: Sequences, part: tuple[int, int, int]) -> str:
        row, first, end = part
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for values in (rows.input_ids, rows.token_type_ids, rows.position_ids, rows.grid):
            digest.update(values[row, first:end].tobytes())
        return digest.hexdigest()

    def _run(self, rows: Sequences, parts: Sequence[tuple[int, int, int]]) -> np.ndarray:
        width = -(-max(end - first for _, first, end in parts) // ROUND) * ROUND
        named = {"input_ids": rows.input_ids, "token_type_ids": rows.token_type_ids, "position_ids": rows.position_ids,
                 "rows": rows.grid[..., 0], "columns": rows.grid[..., 1], "attention_mask": rows.attention_mask}  # fmt: skip
        inputs = {name: np.full((len(parts), width), PAD, np.int32) for name in named}
        for at, (row, first, end) in enumerate(parts):
            for name, values in named.items():
                inputs[name][at, : end - first] = values[row, first:end]
        return self.lower.run(["states"], inputs)[0]
