"""How a question and a passage stand in one sequence: `[CLS] question [SEP] title [SEP] context [SEP]`. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CLS, SEP, PAD = 101, 102, 0  # of BERT's uncased vocabulary
IGNORED = -100  # a label that counts for nothing
QUESTION, TITLE, WINDOW = 48, 96, 256  # tokens of question, title and context that one sequence has room for
ROUND = 8  # lengths are padded to a multiple of it: matrix kernels like that

Parts = tuple[Sequence[int], Sequence[int], Sequence[int]]  # tokens of question, title, context


def place(parts: Parts) -> int:
    """Where the context begins in its row."""
    return len(parts[0]) + len(parts[1]) + 3


def collate(rows: Sequence[Parts]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """input_ids, token_type_ids (1 from the title on) and attention_mask, each (B, S) int64."""
    longest = max(place(parts) + len(parts[2]) + 1 for parts in rows)
    ids = np.full((len(rows), -(-longest // ROUND) * ROUND), PAD, np.int64)
    types, mask = np.zeros_like(ids), np.zeros_like(ids)
    for i, (question, title, context) in enumerate(rows):
        row = np.concatenate([[CLS], question, [SEP], title, [SEP], context, [SEP]])
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
        types[i, len(question) + 2 : len(row)] = 1
    return ids, types, mask
