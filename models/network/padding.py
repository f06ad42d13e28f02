"""Token rows of unequal length as padded arrays, with their masks and exact-match codes."""

from __future__ import annotations

import numpy as np

from models.reader.exact_match import codes
from models.reader.sequences import PAD, ROUND


def coded_pairs(question_ids: np.ndarray, block_ids: np.ndarray, grid: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The exact match codes of each question and its block: (N, Q + T) int64, 0 for padding.

    question_ids (B, Q), block_ids (N, T), grid (N, T, PLACES), owner (N,): the question of each block.
    """
    rows = zip(owner, block_ids, grid, strict=True)
    pairs = [codes(question_ids[question], block, places) for question, block, places in rows]
    return np.stack([np.concatenate(pair) for pair in pairs]).astype(np.int64)


def padded(rows: list[np.ndarray], fill: int = PAD) -> tuple[np.ndarray, np.ndarray]:
    """Rows of tokens as one array and its mask, (n, longest)."""
    width = -(-max(map(len, rows)) // ROUND) * ROUND
    ids, mask = np.full((len(rows), width), fill, np.int64), np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask
