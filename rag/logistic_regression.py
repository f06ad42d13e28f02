"""Logistic regression with fitted weights. Input: features (n, f). Output: probabilities (n,)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST = 1e-6  # probabilities stay this far from 0 and 1


def probability(features: np.ndarray, weights: Sequence[float], bias: float) -> np.ndarray:
    """features (n, f), weights (f,) -> (n,)."""
    return np.clip(1 / (1 + np.exp(-(features @ np.asarray(weights) + bias))), LEAST, 1 - LEAST)
