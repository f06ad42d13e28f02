"""Which blocks are worth reading with the question: a late interaction (ColBERT, arXiv 2004.12832) of the states that are there anyway.

A block's score depends on itself and the question alone, never on the other blocks or the batch. Legend: N blocks, Q tokens of their
questions, T of the blocks, W width of the encoder.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

SIZE = 64  # of the vectors that are compared


class BlockRouter(nn.Module):
    """For each token of the question the likeness of the nearest token of the block, weighed by how much the token matters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.question = nn.Linear(width, SIZE, bias=False)
        self.block = nn.Linear(width, SIZE, bias=False)
        self.weight = nn.Linear(width, 1)
        self.scale = nn.Parameter(torch.tensor([8.0, -4.0]))  # of the likeness, and what is added to it

    def forward(self, question: torch.Tensor, question_mask: torch.Tensor, block: torch.Tensor, block_mask: torch.Tensor) -> torch.Tensor:
        """Lower states (N, Q, W) and (N, T, W), masks (N, Q) and (N, T) -> logits (N,) that a block holds evidence."""
        asked, held = F.normalize(self.question(question), dim=-1), F.normalize(self.block(block), dim=-1)
        likeness = asked @ held.transpose(1, 2)  # (N, Q, T)
        nearest = likeness.masked_fill(block_mask[:, None] == 0, -1.0).amax(-1)  # (N, Q)
        weight = F.softplus(self.weight(question)[..., 0]) * question_mask  # (N, Q)
        return self.scale[0] * (weight * nearest).sum(-1) / weight.sum(-1).clamp_min(1e-6) + self.scale[1]
