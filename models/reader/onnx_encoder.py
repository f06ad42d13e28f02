"""The memory encoder in int8 through ONNX Runtime: what a block is without a question is kept, the rest is computed live.

Imports no torch. Legend: B rows, S tokens, W width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.reader import flops
from models.reader.coordinates import PLACES, SIDES, Kind, kinds_of
from models.reader.exact_match import codes
from models.reader.extractive_reader import Computed
from models.reader.flops import Spent
from models.reader.image_patches import WIDTH
from models.reader.sequences import PAD, PATCH, ROUND, Sequences

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Kept(Protocol):
    """States of blocks by what they are of; may forget."""

    def get(self, key: str) -> bytes | None: ...

    def __setitem__(self, key: str, states: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """Computes what models.reader.extractive_reader reads by. Thread-safe where `kept` is; gives the same with and without it.

    lower, upper: the graphs of models.reader.encoder_graph, the latter of each kind of block; name: of their weights, part of the keys; matches: what is added at
    each code of models.reader.exact_match, (CODES, W); cached: layers of `lower`. prompt: (P, W), see models.network.soft_prompts.
    """

    lower: InferenceSession
    upper: Callable[[Kind], InferenceSession]
    name: str
    matches: np.ndarray
    cached: int
    kept: Kept | None = None
    prompt: np.ndarray | None = None

    def __call__(self, rows: Sequences) -> Computed:
        asked = asked_of(rows)
        pairs, found = self.pairs(rows, asked)
        shape = rows.input_ids.shape
        prompt = np.empty((0, self.matches.shape[1])) if self.prompt is None else self.prompt
        joint = np.zeros((shape[0], shape[1] + len(prompt), prompt.shape[1]), np.float16)  # (B, S + P, W)
        joint[:, shape[1] :] = prompt
        for row, (question, block) in enumerate(pairs):
            first, length = len(question), len(question) + len(block)
            ids, grid = rows.input_ids[row, :length], rows.grid[row, first:length]
            coded = np.concatenate(codes(ids[:first], ids[first:], grid))
            joint[row, :length] = np.concatenate((question, block)) + self.matches[coded]
        mask, kinds = np.pad(rows.attention_mask.astype(np.int32), ((0, 0), (0, len(prompt))), constant_values=1), kinds_of(rows.grid)
        null = np.zeros(len(kinds), np.int64)  # times that tokens of a row went to null experts
        made = Computed(np.zeros((*joint.shape[:2], 2), np.float32), np.zeros((len(kinds), 2), np.float32), joint)
        for one in sorted(set(kinds.tolist())):
            mine = np.flatnonzero(kinds == one)
            inputs = {"states": joint[mine], "attention_mask": mask[mine]}
            made.spans[mine], made.judged[mine], joint[mine], *through = self.upper(Kind(one)).run(None, inputs)
            null[mine] = nulls(through, mask[mine])
        spent = self._spent(rows, asked, found, null, len(prompt))
        return made._replace(spans=made.spans[:, : shape[1]], states=joint[:, : shape[1]], spent=spent)

    def keep(self, rows: Sequences) -> None:
        """Have the lower states of blocks kept, whatever they are asked. Raises TypeError where there is no place for them."""
        if self.kept is None:
            raise TypeError("this encoder keeps no states of blocks")
        self.alone(rows, blocks_of(rows, asked_of(rows)), self.kept)

    def _spent(self, rows: Sequences, asked: list[int], found: list[bool], null: np.ndarray, prompt: int) -> list[Spent]:
        """What each row cost. What rows share, a question and the weights, is counted with the first one."""
        lengths, questions, spent = rows.attention_mask.sum(1), set(), []
        cached, upper = self.cached, flops.LAYERS - self.cached
        shared = flops.weights((0 if all(found) else cached) + upper)
        for row, (length, first) in enumerate(zip(lengths.tolist(), asked, strict=True)):
            text = rows.input_ids[row, :first].tobytes()
            alone = flops.layers(cached, first) * (text not in questions) + flops.layers(cached, length - first) * (not found[row])
            questions.add(text)
            operations = alone + flops.layers(upper, length + prompt, int(null[row]))
            spent.append(Spent(operations, flops.states(length) + shared, upper * (length + prompt), int(null[row]), int(found[row])))
            shared = 0
        return spent

    def pairs(self, rows: Sequences, asked: list[int]) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[bool]]:
        """The lower states of each row's question and block, (tokens, W) each, and of which blocks they had been kept."""
        questions, _ = self.alone(rows, [(i, 0, first) for i, first in enumerate(asked)], {})
        blocks, found = self.alone(rows, blocks_of(rows, asked), {} if self.kept is None else self.kept)
        return list(zip(questions, blocks, strict=True)), found

    def alone(self, rows: Sequences, parts: Sequence[tuple[int, int, int]], kept: Kept) -> tuple[list[np.ndarray], list[bool]]:
        """The lower states (tokens, W) of parts (row, first, end) that see nothing else, and which had been kept; each distinct part is computed once."""
        keys = [self._key(rows, part) for part in parts]
        found = {key: np.frombuffer(states, np.float16) for key in dict.fromkeys(keys) if (states := kept.get(key)) is not None}
        missing = {key: part for key, part in zip(keys, parts, strict=True) if key not in found}
        if missing:
            states = self._run(rows, list(missing.values()))  # (missing, longest, W)
            for key, (_, first, end), mine in zip(missing, missing.values(), states, strict=True):
                found[key] = mine[: end - first].reshape(-1)
                kept[key] = found[key].tobytes()
        return [found[key].reshape(end - first, -1) for key, (_, first, end) in zip(keys, parts, strict=True)], [key not in missing for key in keys]

    def _key(self, rows: Sequences, part: tuple[int, int, int]) -> str:
        row, first, end = part
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for values in (rows.input_ids, rows.token_type_ids, rows.position_ids, rows.grid):
            digest.update(values[row, first:end].tobytes())
        if _pictured(rows, part):
            digest.update(rows.patches[row].tobytes())
        return digest.hexdigest()

    def _run(self, rows: Sequences, parts: Sequence[tuple[int, int, int]]) -> np.ndarray:
        width = -(-max(end - first for _, first, end in parts) // ROUND) * ROUND
        named = {"input_ids": rows.input_ids, "token_type_ids": rows.token_type_ids, "position_ids": rows.position_ids,
                 "rows": rows.grid[..., 0], "columns": rows.grid[..., 1], "attention_mask": rows.attention_mask}  # fmt: skip
        inputs = {name: np.full((len(parts), width), PAD, np.int32) for name in named}
        for at, (row, first, end) in enumerate(parts):
            for name, values in named.items():
                inputs[name][at, : end - first] = values[row, first:end]
        sides = np.zeros((len(parts), width, PLACES - 2), np.int32)
        for at, (row, first, end) in enumerate(parts):
            sides[at, : end - first] = rows.grid[row, first:end, 2:]
        inputs["sides"] = np.where(sides > 0, SIDES * np.arange(PLACES - 2, dtype=np.int32) + sides, 0)
        inputs["patches"] = np.concatenate([np.empty((0, WIDTH), np.float32), *(rows.patches[part[0]] for part in parts if _pictured(rows, part))]).astype(np.float32)
        return self.lower.run(["states"], inputs)[0]


def _pictured(rows: Sequences, part: tuple[int, int, int]) -> bool:
    row, first, end = part
    return bool((rows.input_ids[row, first:end] == PATCH).any())


def nulls(through: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """How often tokens of each row went to null experts, (B,): what the routers of some layers said, (B, S) each, and the mask (B, S)."""
    return sum((mask.sum(1) - one.sum(1) for one in through), np.zeros(len(mask), np.int64))


def asked_of(rows: Sequences) -> list[int]:
    """The tokens of each row's question."""
    return ((rows.token_type_ids == 0) & (rows.attention_mask == 1)).sum(1).tolist()


def blocks_of(rows: Sequences, asked: list[int]) -> list[tuple[int, int, int]]:
    """The part (row, first, end) of each row that is its block."""
    return [(row, *ends) for row, ends in enumerate(zip(asked, rows.attention_mask.sum(1).tolist(), strict=True))]
