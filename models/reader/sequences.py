"""Question and passage as one sequence: `[CLS] question [SEP] title [SEP] context [SEP] patches`. Imports no torch.

Everything from the title on is the block. It has the same positions for every question, so that it can be encoded
without one. Here are also the constants that the network in torch and the ONNX graphs share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.reader.coordinates import PLACES
from models.reader.image_patches import PATCH_PLACES, PATCHES, WIDTH, Picture

CLS, SEP, PAD = 101, 102, 0  # of BERT's uncased vocabulary
PATCH = 1  # a token of it that no text has, in the place of a patch of a picture
IGNORED = -100  # a label that adds no loss
CLOSED = -1e4  # added to the score of what attention may not read
LEAST = 1e-9  # lower bound of a copy probability, so that its logarithm is finite
QUESTION, TITLE, WINDOW = 48, 96, 256  # tokens of question, title and context that one sequence has room for
BLOCK_POSITION = QUESTION + 2  # where a block's positions begin, after those of [CLS] question [SEP]
ROUND = 8  # lengths are padded to a multiple of it, for which matrix kernels are faster


def _nowhere() -> np.ndarray:
    return np.zeros((0, PLACES), np.uint8)


@dataclass(frozen=True, slots=True)
class Parts:
    """Tokens of question, title and context, the grids of the last two (models.reader.coordinates), their picture."""

    question: Sequence[int]
    title: Sequence[int]
    context: Sequence[int]
    title_grid: np.ndarray = field(default_factory=_nowhere)
    context_grid: np.ndarray = field(default_factory=_nowhere)
    picture: Picture | None = None

    @property
    def block(self) -> int:
        """Where the title begins in its row, and with it what can be read without the question."""
        return len(self.question) + 2

    @property
    def place(self) -> int:
        """Where the context begins in its row."""
        return len(self.question) + len(self.title) + 3

    @property
    def end(self) -> int:
        """One past the last [SEP] in its row."""
        return self.place + len(self.context) + 1

    def __len__(self) -> int:
        return self.end + (PATCHES if self.picture else 0)


@dataclass(frozen=True, slots=True)
class Sequences:
    """B rows of S tokens, int64, padded with PAD on the right."""

    input_ids: np.ndarray  # (B, S)
    token_type_ids: np.ndarray  # (B, S): 1 from the title on
    attention_mask: np.ndarray  # (B, S)
    position_ids: np.ndarray  # (B, S): those of the block begin at BLOCK_POSITION
    grid: np.ndarray  # (B, S, PLACES)
    patches: np.ndarray  # (B, PATCHES, WIDTH) float16; zeros in rows whose ids have no PATCH


def collate(rows: Sequence[Parts]) -> Sequences:
    """Rows as arrays, padded to the longest, rounded up to a multiple of ROUND."""
    shape = len(rows), -(-max(map(len, rows)) // ROUND) * ROUND
    ids, types, mask, positions = np.full(shape, PAD, np.int64), *np.zeros((3, *shape), np.int64)
    grid, patches = np.zeros((*shape, PLACES), np.int64), np.zeros((len(rows), PATCHES, WIDTH), np.float16)
    for i, row in enumerate(rows):
        first, length = row.block, len(row)
        ids[i, : row.end] = np.concatenate([[CLS], row.question, [SEP], row.title, [SEP], row.context, [SEP]])
        mask[i, :length], types[i, first:length] = 1, 1
        positions[i, :first], positions[i, first:length] = np.arange(first), BLOCK_POSITION + np.arange(length - first)
        grid[i, first : first + len(row.title_grid)] = row.title_grid
        grid[i, row.place : row.place + len(row.context_grid)] = row.context_grid
        if row.picture:
            ids[i, row.end : length], grid[i, row.end : length], patches[i] = PATCH, PATCH_PLACES, row.picture.features
    return Sequences(ids, types, mask, positions, grid, patches)
