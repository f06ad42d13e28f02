"""Initial weights of the projection from patch features to word vectors.

Patch features lie in the space of the text embedder (vision.training.tower). So a linear map from the text embedding of
a word to its word vector is a first guess of a map from a patch to a vector that the memory encoder reads. It is fitted
by ridge regression over the whole words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from models.common import base_encoder

SHORTEST = 3  # letters of a word that is fitted on
RIDGE = 1.0  # weight of the squared norm


def initialise_from_words(
    patches: nn.Linear, words: torch.Tensor, encode: Callable[[Sequence[str]], np.ndarray]
) -> None:
    """Set the weights of `patches` (P -> W). words (V, W): the word vectors of the base encoder's vocabulary.

    encode: n texts to their normalised embeddings (n, P).
    """
    vocabulary = (base_encoder.folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    chosen = [at for at, word in enumerate(vocabulary) if word.isalpha() and word.isascii() and len(word) >= SHORTEST]
    vectors = torch.from_numpy(encode([vocabulary[at] for at in chosen])).double()  # (n, P)
    targets = words[chosen].double()  # (n, W)
    mean, target_mean = vectors.mean(0), targets.mean(0)
    gram = (vectors - mean).T @ (vectors - mean) + RIDGE * torch.eye(vectors.shape[1], dtype=torch.double)  # (P, P)
    weights = torch.linalg.solve(gram, (vectors - mean).T @ (targets - target_mean))  # (P, W)
    with torch.no_grad():
        patches.weight.copy_(weights.T)
        patches.bias.copy_(target_mean - mean @ weights)
