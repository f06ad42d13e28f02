"""The memory encoder in int8 through ONNX Runtime, with a cache of block states that no question has touched.

Rows of question and block come in (models.reader.sequences), logits and states go out (models.reader.types.Computed).
Imports no torch; knows no weights and no tokenizer. The same encoder in torch is models.network.memory_encoder.
Legend: B rows, S tokens, W width, P vectors of a soft prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.common import parallel
from models.reader import flops
from models.reader.coordinates import PLACES, SIDES, BlockModality, modalities_of
from models.reader.exact_match import codes
from models.reader.flops import Cost
from models.reader.image_patches import WIDTH
from models.reader.sequences import PATCH, Sequences
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
        questions, modalities = question_lengths(rows), modalities_of(rows.grid)  # (B,)
        pairs, found = self.pairs(rows, questions)
        upper = {modality: self.upper(BlockModality(modality)) for modality in set(modalities.tolist())}
        width = self.match_embeddings.shape[1]
        prompt = np.empty((0, width)) if self.prompt is None else self.prompt

        def joint(row: int) -> list[np.ndarray]:
            """The outputs of `upper` for question and block of one row."""
            question, block = pairs[row]
            first, length = len(question), len(question) + len(block)
            ids, grid = rows.input_ids[row, :length], rows.grid[row, first:length]
            coded = np.concatenate(codes(ids[:first], ids[first:], grid))
            states = np.concatenate((question, block)) + self.match_embeddings[coded]
            states = np.concatenate((states, prompt)).astype(np.float16)
            return upper[modalities[row]].run(None, {"states": states[None]})

        batch, longest = rows.input_ids.shape
        made = Computed(
            np.zeros((batch, longest, 2), np.float32), np.zeros((batch, 2), np.float32),
            np.zeros((batch, longest, width), np.float16),
        )  # fmt: skip
        null = []  # times that tokens of a row went to null experts
        for row, (spans, judged, states, *through) in enumerate(parallel.each(joint, range(batch))):
            length = len(pairs[row][0]) + len(pairs[row][1])
            made.spans[row, :length], made.states[row, :length] = spans[0, :length], states[0, :length]
            made.judged[row] = judged[0]
            null.append(nulls(through))
        return made._replace(costs=self._costs(rows, questions, found, null, len(prompt)))

    def keep(self, rows: Sequences) -> None:
        """Cache the lower states of blocks, whatever the question. Raises TypeError where there is no cache."""
        if self.cache is None:
            raise TypeError("this encoder has no cache of block states")
        self.alone(rows, blocks_of(rows, question_lengths(rows)), self.cache)

    def _costs(
        self, rows: Sequences, questions: list[int], found: list[bool], null: list[int], prompt: int
    ) -> list[Cost]:
        """The cost of each row. What rows share, a question and the weights, is counted with the first one."""
        lengths, counted, costs = rows.attention_mask.sum(1), set(), []
        lower, upper = self.cached_layers, flops.LAYERS - self.cached_layers
        shared = flops.weights((0 if all(found) else lower) + upper)
        for row, (length, first) in enumerate(zip(lengths.tolist(), questions, strict=True)):
            question, nulls_here = rows.input_ids[row, :first].tobytes(), null[row]
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
            states = parallel.each(partial(self._run, rows), missing.values())
            for key, mine in zip(missing, states, strict=True):
                found[key] = mine.reshape(-1)
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

    def _run(self, rows: Sequences, part: tuple[int, int, int]) -> np.ndarray:
        """`lower` over one part: (tokens, W) float16."""
        row, first, end = part
        named = {
            "input_ids": rows.input_ids, "token_type_ids": rows.token_type_ids, "position_ids": rows.position_ids,
            "rows": rows.grid[..., 0], "columns": rows.grid[..., 1],
        }  # fmt: skip
        inputs = {name: values[row : row + 1, first:end].astype(np.int32) for name, values in named.items()}
        sides = rows.grid[row : row + 1, first:end, 2:].astype(np.int32)
        inputs["sides"] = np.where(sides > 0, SIDES * np.arange(PLACES - 2, dtype=np.int32) + sides, 0)
        patches = rows.patches[row] if _pictured(rows, part) else np.empty((0, WIDTH))
        return self.lower.run(["states"], inputs | {"patches": patches.astype(np.float32)})[0][0]


def _pictured(rows: Sequences, part: tuple[int, int, int]) -> bool:
    row, first, end = part
    return bool((rows.input_ids[row, first:end] == PATCH).any())


def nulls(through: Sequence[np.ndarray]) -> int:
    """How often tokens of a row went to null experts.

    through: of each layer with a router 1 where a token went through its feed-forward network, (1, S).
    """
    return sum(one.size - int(one.sum()) for one in through)


def question_lengths(rows: Sequences) -> list[int]:
    """How many tokens each row's question has, [CLS] and [SEP] among them."""
    return ((rows.token_type_ids == 0) & (rows.attention_mask == 1)).sum(1).tolist()


def blocks_of(rows: Sequences, questions: list[int]) -> list[tuple[int, int, int]]:
    """The part (row, first, end) of each row that is its block."""
    return [(row, *ends) for row, ends in enumerate(zip(questions, rows.attention_mask.sum(1).tolist(), strict=True))]
