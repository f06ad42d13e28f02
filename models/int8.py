"""The memory encoder in int8 through ONNX Runtime: what a block is without a question is kept, the rest is computed live.

Imports no torch. Legend: B rows, S tokens, W width.
"""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.layout import PAD, ROUND, Sequences

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Kept = MutableMapping[str, bytes]  # states of blocks by what they are of; may forget


class Encoder:
    """Computes what models.reader reads by. Thread-safe where `kept` is; gives the same with and without it.

    lower, upper: the graphs of models.bert_graph; name: of their weights, part of the keys.
    """

    def __init__(self, lower: InferenceSession, upper: InferenceSession, name: str, kept: Kept | None = None) -> None:
        self._lower, self._upper, self._name, self._kept = lower, upper, name, {} if kept is None else kept

    def keeping(self, kept: Kept) -> Encoder:
        """The same, with the states of blocks kept there."""
        return Encoder(self._lower, self._upper, self._name, kept)

    def __call__(self, rows: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """-> start and end logits (B, S, 2), answerable and evidence (B, 2)."""
        lengths = rows.attention_mask.sum(1)
        asked = ((rows.token_type_ids == 0) & (rows.attention_mask == 1)).sum(1)  # tokens of each row's question
        questions = self._alone(rows, [(i, 0, int(asked[i])) for i in range(len(lengths))], {})
        blocks = self._alone(rows, [(i, int(asked[i]), int(lengths[i])) for i in range(len(lengths))], self._kept)
        joint = np.zeros((*rows.input_ids.shape, blocks[0].shape[1]), np.float16)  # (B, S, W)
        for i, (question, block) in enumerate(zip(questions, blocks, strict=True)):
            joint[i, : asked[i]], joint[i, asked[i] : lengths[i]] = question, block
        return tuple(self._upper.run(["spans", "judged"], {"states": joint, "attention_mask": rows.attention_mask.astype(np.int32)}))

    def _alone(self, rows: Sequences, parts: Sequence[tuple[int, int, int]], kept: Kept) -> list[np.ndarray]:
        """The lower states (tokens, W) of parts (row, first, end) that see nothing else; each distinct part is computed once."""
        keys = [self._key(rows, part) for part in parts]
        found = {key: np.frombuffer(states, np.float16) for key in dict.fromkeys(keys) if (states := kept.get(key)) is not None}
        missing = {key: part for key, part in zip(keys, parts, strict=True) if key not in found}
        if missing:
            states = self._run_lower(rows, list(missing.values()))  # (missing, longest, W)
            for key, (_, first, end), mine in zip(missing, missing.values(), states, strict=True):
                found[key] = mine[: end - first].reshape(-1)
                kept[key] = found[key].tobytes()
        return [found[key].reshape(end - first, -1) for key, (_, first, end) in zip(keys, parts, strict=True)]

    def _key(self, rows: Sequences, part: tuple[int, int, int]) -> str:
        row, first, end = part
        digest = hashlib.blake2b(self._name.encode(), digest_size=16)
        for values in (rows.input_ids, rows.token_type_ids, rows.position_ids, rows.grid):
            digest.update(values[row, first:end].tobytes())
        return digest.hexdigest()

    def _run_lower(self, rows: Sequences, parts: Sequence[tuple[int, int, int]]) -> np.ndarray:
        width = -(-max(end - first for _, first, end in parts) // ROUND) * ROUND
        named = {"input_ids": rows.input_ids, "token_type_ids": rows.token_type_ids, "position_ids": rows.position_ids,
                 "rows": rows.grid[..., 0], "columns": rows.grid[..., 1], "attention_mask": rows.attention_mask}  # fmt: skip
        inputs = {name: np.full((len(parts), width), PAD, np.int32) for name in named}
        for at, (row, first, end) in enumerate(parts):
            for name, values in named.items():
                inputs[name][at, : end - first] = values[row, first:end]
        return self._lower.run(["states"], inputs)[0]
