"""Where the projection of patches begins: a patch as the word that it is like.

Features of patches lie in the space of the text embedder (vision.training.tower), so that what takes its vector of a word to the word's own vector is
a first guess of what takes a patch to a vector that the memory encoder can read: a ridge regression over the vocabulary's whole words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from models.common import base_encoder

SHORTEST = 3  # letters of a word
RIDGE = 1.0


def begin_as_words(patches: nn.Linear, words: torch.Tensor, encode: Callable[[Sequence[str]], np.ndarray]) -> None:
    """words (V, W): the word vectors of the base's vocabulary; encode: texts to their unit vectors (n, P)."""
    vocabulary = (base_encoder.folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    chosen = [at for at, word in enumerate(vocabulary) if word.isalpha() and word.isascii() and len(word) >= SHORTEST]
    vectors = torch.from_numpy(encode([vocabulary[at] for at in chosen])).double()  # (n, P)
    wanted = words[chosen].double()  # (n, W)
    middle, mean = wanted.mean(0), vectors.mean(0)
    gram = (vectors - mean).T @ (vectors - mean) + RIDGE * torch.eye(vectors.shape[1], dtype=torch.double)
    made = torch.linalg.solve(gram, (vectors - mean).T @ (wanted - middle))  # (P, W)
    with torch.no_grad():
        patches.weight.copy_(made.T)
        patches.bias.copy_(middle - mean @ made)
