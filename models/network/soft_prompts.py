"""Trained vectors in place of trained weights: a prompt behind question and block, a prefix before keys and values.

Prompt tuning is arXiv 2104.08691, prefix tuning arXiv 2101.00190. The upper layers add no positions, so that it does
not matter where the vectors are.
Legend: N blocks, S tokens, P vectors, L upper layers, H heads, D width of one, W = H * D.
"""

from __future__ import annotations

import torch
from torch import nn


class Prompt(nn.Module):
    def __init__(self, vectors: torch.Tensor) -> None:
        """vectors (P, W): their initial values."""
        super().__init__()
        self.vectors = nn.Parameter(vectors.clone())

    def behind(self, states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """states (N, S, W), mask (N, S) -> (N, S + P, W), (N, S + P)."""
        mine = self.vectors.to(states.dtype).expand(len(states), -1, -1)
        return torch.cat((states, mine), 1), torch.cat((mask, mask.new_ones(mine.shape[:2])), 1)


class Prefix(nn.Module):
    """Takes the place of the cache of earlier keys and values in transformers' layers."""

    def __init__(self, vectors: torch.Tensor, layers: int, first: int) -> None:
        """vectors (P, W): initial keys of all layers; first: number of the first of the `layers` layers."""
        super().__init__()
        self.first = first
        self.keys = nn.Parameter(vectors.expand(layers, -1, -1).clone())  # (L, P, W)
        self.values = nn.Parameter(torch.zeros_like(self.keys))

    def __len__(self) -> int:
        return self.keys.shape[1]

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """key, value (N, H, S, D) -> (N, H, P + S, D)."""

        def before(vectors: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
            n, h, _, d = own.shape
            return torch.cat((vectors.view(-1, h, d).transpose(0, 1).expand(n, -1, -1, -1).to(own.dtype), own), 2)

        return before(self.keys[layer - self.first], key), before(self.values[layer - self.first], value)
