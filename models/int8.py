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
from models.matches import codes
from models.reader import Computed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Kept(Protocol):
    """States of blocks by what they are of; may forget."""

    def get(self, key: str) -> bytes | None: ...

    def __setitem__(self, key: str, states: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """Computes what models.reader reads by. Thread-safe where `kept` is; gives the same with and without it.

    lower, upper: the graphs of models.bert_graph; name: of their weights, part of the keys; matches: what is added at each code of
    models.matches, (CODES, W).
    """

    lower: InferenceSession
    upper: InferenceSession
    name: str
    matches: np.ndarray
    kept: Kept | None = None

    def __call__(self, rows: Sequences) -> Computed:
        pairs = self.pairs(rows)
        joint = np.zeros((*rows.input_ids.shape, self.matches.shape[1]), np.float16)  # (B, S, W)
        for row, (question, block) in enumerate(pairs):
            asked, length = len(question), len(question) + len(block)
            ids, grid = rows.input_ids[row, :length], rows.grid[row, asked:length]
            coded = np.concatenate(codes(ids[:asked], ids[asked:], grid))
            joint[row, :length] = np.concatenate((question, block)) + self.matches[coded]
        inputs = {"states": joint, "attention_mask": rows.attention_mask.astype(np.int32)}
        return Computed(*self.upper.run(["spans", "judged", "memory"], inputs))

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
