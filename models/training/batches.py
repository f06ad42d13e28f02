"""Prepared examples as batches of like length.

Shapes: B examples, S tokens. A batch holds about `tokens` tokens, so long examples come in small batches. The order is
a function of seed and epoch alone, so that an interrupted run continues with the batch that was next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.common import base_encoder
from models.common.errors import DataError
from models.reader.coordinates import PLACES
from models.reader.image_patches import PATCHES, WIDTH
from models.reader.sequences import Parts, collate
from models.training.image_questions import PATCH_FILE

SORTED = 64  # batches whose examples are sorted by length together


@dataclass(frozen=True, slots=True)
class Batch:
    """`span_mask` is 1 where an answer may start or end: the context, and [CLS] for "not here"."""

    input_ids: torch.Tensor  # (B, S) long
    token_type_ids: torch.Tensor  # (B, S) long: 1 from the title on
    attention_mask: torch.Tensor  # (B, S) long
    span_mask: torch.Tensor  # (B, S) bool
    start: torch.Tensor  # (B,) long: place of the answer's first token; 0 = no answer here; -100 = not known
    end: torch.Tensor  # (B,) long
    answerable: torch.Tensor  # (B,) float 0/1
    evidence: torch.Tensor  # (B,) float 0/1, -1 = not judged

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


class Examples:
    """The arrays that models.training.prepare_data wrote. Raises DataError if missing or of another tokenizer."""

    def __init__(self, folder: Path, split: str = "examples") -> None:
        try:
            made_with = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["base"]
            self.tokens = np.memmap(folder / "tokens.u16", np.uint16, mode="r")
            self.grid = np.memmap(folder / "grid.u8", np.uint8, mode="r").reshape(-1, PLACES)
            self.rows = np.load(folder / f"{split}.npy", mmap_mode="r")
            pictured = self.rows["picture"] >= 0
            self.patches = np.empty((0, PATCHES, WIDTH), np.float16)
            if pictured.any():
                self.patches = np.memmap(folder / PATCH_FILE, np.float16, mode="r").reshape(-1, PATCHES, WIDTH)
        except (OSError, ValueError, KeyError, TypeError) as error:
            remedy = "make it with python -m models.training.prepare_data"
            raise DataError(f"{folder} holds no prepared {split} ({error}): {remedy}") from error
        if made_with != base_encoder.identity():
            installed = base_encoder.identity()
            raise DataError(f"{folder} was prepared for {made_with}, installed is {installed}: prepare it again")
        parts = sum(self.rows[f"{part}_length"].astype(np.int64) for part in ("question", "title", "context"))
        self.lengths = 4 + parts + PATCHES * pictured  # with [CLS] and three [SEP]

    def __len__(self) -> int:
        return len(self.rows)

    def order(self, tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, as indices into `rows`; without rows with pictures, which a baseline cannot read."""
        seen = np.flatnonzero(self.rows["picture"] < 0)
        return [seen[chosen] for chosen in shuffled_batches(self.lengths[seen], tokens, seed, epoch)]

    def batch(self, indices: np.ndarray) -> Batch:
        rows = self.rows[indices]
        parts = [Parts(*(self.part(row, part) for part in ("question", "title", "context"))) for row in rows]
        made = collate(parts)
        spans = np.zeros(made.input_ids.shape, bool)
        for i, part in enumerate(parts):
            spans[i, 0] = spans[i, part.place : part.place + len(part.context)] = True
        known = rows["start"].astype(np.int64) >= 0
        unknown = np.where(rows["answerable"] == 1, -100, 0)
        left = np.array([part.place for part in parts])
        targets = [np.where(known, rows[side] + left, unknown) for side in ("start", "end")]
        targets += [rows[name].astype(np.float32) for name in ("answerable", "evidence")]
        arrays = (made.input_ids, made.token_type_ids, made.attention_mask, spans, *targets)
        return Batch(*map(torch.from_numpy, arrays))

    def part(self, row: np.void, part: str) -> np.ndarray:
        """The tokens of a row's question, title or context."""
        first = int(row[part])
        return self.tokens[first : first + int(row[f"{part}_length"])].astype(np.int64)

    def places(self, row: np.void, part: str) -> np.ndarray:
        """The grid of these tokens: (n, PLACES), models.reader.coordinates."""
        first = int(row[part])
        return self.grid[first : first + int(row[f"{part}_length"])].astype(np.int64)


def shuffled_batches(lengths: np.ndarray, tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
    """All of 0..n-1 in batches of like length and about so many tokens, in an order of chance; lengths: (n,)."""
    rng = np.random.default_rng((seed, epoch))
    shuffled = rng.permutation(len(lengths))
    per_group = max(1, int(SORTED * tokens / max(1.0, float(lengths.mean()))))
    batches = []
    for first in range(0, len(shuffled), per_group):
        group = shuffled[first : first + per_group]
        batches += list(cut(group[np.argsort(lengths[group], kind="stable")], lengths, tokens))
    return [batches[i] for i in rng.permutation(len(batches))]


def cut(ordered: np.ndarray, lengths: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Parts of `ordered` (lengths ascending) of at most `tokens` tokens when padded, and at least one example."""
    first = 0
    for at in range(len(ordered)):
        if at > first and (at + 1 - first) * lengths[ordered[at]] > tokens:
            yield ordered[first:at]
            first = at
    if first < len(ordered):
        yield ordered[first:]
