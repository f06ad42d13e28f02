"""A reader small enough to train in a test, and batches for it that can be learned by heart."""

from __future__ import annotations

import numpy as np
import torch

from models.network.baseline_reader import BaselineReader
from models.reader.sequences import Parts, collate
from models.training.batches import Batch

WORDS = 50  # of the vocabulary, from 3 on


def reader(dropout: float = 0.1, width: int = 24, seed: int = 0) -> BaselineReader:
    from transformers import BertConfig

    torch.manual_seed(seed)
    return BaselineReader(BertConfig(
        vocab_size=128, hidden_size=width, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    ))  # fmt: skip


def batch(size: int, seed: int) -> Batch:
    """Questions of one word that stands in their context of eight: that is the answer. The last one has none."""
    rng = np.random.default_rng(seed)
    contexts = [rng.permutation(np.arange(3, 3 + WORDS))[:9] for _ in range(size)]
    at = rng.integers(0, 8, size)
    at[-1] = 8  # the word that is cut off
    parts = [Parts([int(words[i])], [], words[:8].tolist()) for words, i in zip(contexts, at, strict=True)]
    rows = collate(parts)
    arrays = (rows.input_ids, rows.token_type_ids, rows.attention_mask)
    spans = np.zeros(arrays[0].shape, bool)
    spans[:, 0] = spans[:, parts[0].place : parts[0].place + 8] = True
    there = at < 8
    place_of = np.where(there, parts[0].place + at, 0)
    targets = (place_of, place_of, there.astype(np.float32), there.astype(np.float32))
    return Batch(*(torch.from_numpy(array) for array in (*arrays, spans, *targets)))
