"""Modality experts: what a layer of the memory encoder knows besides of tables and of pages.

A layer's feed-forward network has more channels for these, which run beside its own (a shared expert and routed ones: DeepSeekMoE, arXiv
2401.06066; one a modality: VLMo, arXiv 2111.02358). Plain text has none: its expert is null and costs nothing. A block is routed by what it is, so
neither the question nor other blocks change its way. Legend: N blocks, T tokens, W width, E channels of an expert.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from models.torchvision_ops import ensure_operators

ensure_operators()

from transformers.models.bert.modeling_bert import BertLayer  # noqa: E402

from models.grid import Kind  # noqa: E402


class Experts(nn.Module):
    """One for each Kind but TEXT; they begin by adding nothing."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(len(Kind) - 1, width, size) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(Kind) - 1, size))
        self.up = nn.Parameter(torch.zeros(len(Kind) - 1, size, width))

    def forward(self, states: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """states (N, T, W), kinds (N,) -> what is added (N, T, W)."""
        down, bias, up = (F.pad(weight, (0, 0) * (weight.dim() - 1) + (1, 0))[kinds] for weight in (self.down, self.bias, self.up))
        return F.gelu(torch.baddbmm(bias[:, None], states, down)) @ up


class ExpertLayer(BertLayer):
    """BERT's layer with experts beside its feed-forward network. They are the caller's, so that its weights are those of a BERT."""

    def forward(self, states: torch.Tensor, attention: torch.Tensor | None, kinds: torch.Tensor, experts: Experts) -> torch.Tensor:
        attended = self.attention(states, attention)[0]  # (N, T, W)
        made = self.output.dense(self.intermediate(attended)) + experts(attended, kinds)
        return self.output.LayerNorm(self.output.dropout(made) + attended)
