"""The memory encoder in int8 through ONNX Runtime, with a cache of block states that no question has touched.

Rows of question and block come in (models.reader.sequences), logits and states go out (models.reader.types.Computed).
Imports no torch; knows no weights and no tokenizer. The same encoder in torch is models.network.memory_encoder.
Legend: B rows, S tokens, W width, P vectors of a soft prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.reader import flops
from models.reader.coordinates import PLACES, SIDES, BlockModality, modalities_of
from models.reader.exact_match import codes
from models.reader.flops import Cost
from models.reader.image_patches import WIDTH
from models.reader.sequences import PAD, PATCH, ROUND, Sequences
from models.reader.types import Computed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class StateCache(Protocol):
    """Lower states of blocks as bytes, by a digest of their input and of the weights. May drop any of them."""

    def get(self, key: str) -> bytes | None: ...

    def __setitem__(self, key: str, states: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """A Compute and CachesBlocks. Thread-safe where `cache` is; computes the same with a cache and without.

    lower, upper: the graphs of models.reader.encoder_graph, the latter by modality. name: of their weights, part of the
    cache's keys. match_embeddings: added at each code of models.reader.exact_match, (CODES, W). cached_layers: of
    `lower`. prompt: (P, W), see models.network.soft_prompts.
    """

    lower: InferenceSession
    upper: Callable[[BlockModality], InferenceSession]
    name: str
    match_embeddings: np.ndarray
    cached_layers: int
    cache: StateCache | None = None
    prompt: np.ndarray | None = None

    def __call__(self, rows: Sequences) -> Computed:
        questions = question_lengths(rows)
        pairs, found = self.pairs(rows, questions)
        shape = rows.input_ids.shape
        prompt = np.empty((0, self.match_embeddings.shape[1])) if self.prompt is None else self.prompt
        joint = np.zeros((shape[0], shape[1] + len(prompt), prompt.shape[1]), np.float16)  # (B, S + P, W)
        joint[:, shape[1] :] = prompt
        for row, (question, block) in enumerate(pairs):
            first, length = len(question), len(question) + len(block)
            ids, grid = rows.input_ids[row, :length], rows.grid[row, first:length]
            coded = np.concatenate(codes(ids[:first], ids[first:], grid))
            joint[row, :length] = np.concatenate((question, block)) + self.match_embeddings[coded]
        mask = np.pad(rows.attention_mask.astype(np.int32), ((0, 0), (0, len(prompt))), constant_values=1)  # (B, S + P)
        modalities = modalities_of(rows.grid)  # (B,)
        null = np.zeros(shape[0], np.int64)  # times that tokens of a row went to null experts
        made = Computed(np.zeros((*joint.shape[:2], 2), np.float32), np.zeros((shape[0], 2), np.float32), joint)
        for modality in sorted(set(modalities.tolist())):
            mine = np.flatnonzero(modalities == modality)
            inputs = {"states": joint[mine], "attention_mask": mask[mine]}
            upper = self.upper(BlockModality(modality))
            made.spans[mine], made.judged[mine], joint[mine], *through = upper.run(None, inputs)
            null[mine] = nulls(through, mask[mine])
        costs = self._costs(rows, questions, found, null, len(prompt))
        return made._replace(spans=made.spans[:, : shape[1]], states=joint[:, : shape[1]], costs=costs)

    def keep(self, rows: Sequences) -> None:
        """Cache the lower states of blocks, whatever the question. Raises TypeError where there is no cache."""
        if self.cache is None:
            raise TypeError("this encoder has no cache of block states")
        self.alone(rows, blocks_of(rows, question_lengths(rows)), self.cache)

    def _costs(
        self, rows: Sequences, questions: list[int], found: list[bool], null: np.ndarray, prompt: int
    ) -> list[Cost]:
        """The cost of each row. What rows share, a question and the weights, is counted with the first one."""
        lengths, counted, costs = rows.attention_mask.sum(1), set(), []
        lower, upper = self.cached_layers, flops.LAYERS - self.cached_layers
        shared = flops.weights((0 if all(found) else lower) + upper)
        for row, (length, first) in enumerate(zip(lengths.tolist(), questions, strict=True)):
            question, nulls_here = rows.input_ids[row, :first].tobytes(), int(null[row])
            operations = flops.layers(upper, length + prompt, nulls_here)
            if question not in counted:
                operations += flops.layers(lower, first)
            if not found[row]:
                operations += flops.layers(lower, length - first)
            counted.add(question)
            read = flops.states(length) + shared
            costs.append(Cost(operations, read, upper * (length + prompt), nulls_here, int(found[row])))
            shared = 0
        return costs

    def pairs(
        self, rows: Sequences, questions: list[int]
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[bool]]:
        """The lower states of each row's question and block, (tokens, W) each, and which blocks were in the cache."""
        asked, _ = self.alone(rows, [(i, 0, first) for i, first in enumerate(questions)], {})
        blocks, found = self.alone(rows, blocks_of(rows, questions), {} if self.cache is None else self.cache)
        return list(zip(asked, blocks, strict=True)), found

    def alone(
        self, rows: Sequences, parts: Sequence[tuple[int, int, int]], cache: StateCache
    ) -> tuple[list[np.ndarray], list[bool]]:
        """The lower states (tokens, W) of parts (row, first, end), each encoded alone, and which were in the cache.

        Each distinct part is computed once.
        """
        keys = [self._key(rows, part) for part in parts]
        cached = {key: states for key in dict.fromkeys(keys) if (states := cache.get(key)) is not None}
        found = {key: np.frombuffer(states, np.float16) for key, states in cached.items()}
        missing = {key: part for key, part in zip(keys, parts, strict=True) if key not in found}
        if missing:
            states = self._run(rows, list(missing.values()))  # (missing, longest, W)
            for key, (_, first, end), mine in zip(missing, missing.values(), states, strict=True):
                found[key] = mine[: end - first].reshape(-1)
                cache[key] = found[key].tobytes()
        states = [found[key].reshape(end - first, -1) for key, (_, first, end) in zip(keys, parts, strict=True)]
        return states, [key not in missing for key in keys]

    def _key(self, rows: Sequences, part: tuple[int, int, int]) -> str:
        row, first, end = part
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for values in (rows.input_ids, rows.token_type_ids, rows.position_ids, rows.grid):
            digest.update(values[row, first:end].tobytes())
        if _pictured(rows, part):
            digest.update(rows.patches[row].tobytes())
        return digest.hexdigest()

    def _run(self, rows: Sequences, parts: Sequence[tuple[int, int, int]]) -> np.ndarray:
        """`lower` over parts, padded to the longest: (parts, tokens, W) float16."""
        width = -(-max(end - first for _, first, end in parts) // ROUND) * ROUND
        named = {
            "input_ids": rows.input_ids, "token_type_ids": rows.token_type_ids, "position_ids": rows.position_ids,
            "rows": rows.grid[..., 0], "columns": rows.grid[..., 1], "attention_mask": rows.attention_mask,
        }  # fmt: skip
        inputs = {name: np.full((len(parts), width), PAD, np.int32) for name in named}
        sides = np.zeros((len(parts), width, PLACES - 2), np.int32)
        for at, (row, first, end) in enumerate(parts):
            for name, values in named.items():
                inputs[name][at, : end - first] = values[row, first:end]
            sides[at, : end - first] = rows.grid[row, first:end, 2:]
        inputs["sides"] = np.where(sides > 0, SIDES * np.arange(PLACES - 2, dtype=np.int32) + sides, 0)
        patches = [rows.patches[part[0]] for part in parts if _pictured(rows, part)]
        inputs["patches"] = np.concatenate([np.empty((0, WIDTH), np.float32), *patches]).astype(np.float32)
        return self.lower.run(["states"], inputs)[0]


def _pictured(rows: Sequences, part: tuple[int, int, int]) -> bool:
    row, first, end = part
    return bool((rows.input_ids[row, first:end] == PATCH).any())


def nulls(through: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """How often tokens of each row went to null experts, (B,).

    through: of each layer with a router 1 where a token went through its feed-forward network, (B, S); mask: (B, S).
    """
    return sum((mask.sum(1) - one.sum(1) for one in through), np.zeros(len(mask), np.int64))


def question_lengths(rows: Sequences) -> list[int]:
    """How many tokens each row's question has, [CLS] and [SEP] among them."""
    return ((rows.token_type_ids == 0) & (rows.attention_mask == 1)).sum(1).tolist()


def blocks_of(rows: Sequences, questions: list[int]) -> list[tuple[int, int, int]]:
    """The part (row, first, end) of each row that is its block."""
    return [(row, *ends) for row, ends in enumerate(zip(questions, rows.attention_mask.sum(1).tolist(), strict=True))]
