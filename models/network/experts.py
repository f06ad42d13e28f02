"""Modality experts and null experts of the memory encoder's feed-forward networks.

Modality experts: a layer's feed-forward network has more channels for tables and for pages, which run beside its own
(a shared expert and routed ones: DeepSeekMoE, arXiv 2401.06066; one per modality: VLMo, arXiv 2111.02358). Text has
none. A block is routed to them by its BlockModality.

Null experts: each token goes through the network or to a null expert, which adds nothing and costs nothing
(arXiv 2601.15370). The token's state decides, so that neither other blocks nor other questions change its route.
Legend: N blocks, T tokens, W width, E channels of an expert.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from models.common.torchvision_ops import ensure_operators
from models.network.soft_prompts import Prefix

ensure_operators()

from transformers.models.bert.modeling_bert import BertLayer  # noqa: E402

from models.reader.coordinates import BlockModality  # noqa: E402

OPEN = 2.0  # initial log-odds that a token is computed


class Experts(nn.Module):
    """One for each BlockModality but TEXT; their initial output is zero."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(len(BlockModality) - 1, width, size) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(BlockModality) - 1, size))
        self.up = nn.Parameter(torch.zeros(len(BlockModality) - 1, size, width))

    def forward(self, states: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """states (N, T, W), kinds (N,): BlockModality -> what is added (N, T, W)."""
        weights = (self.down, self.bias, self.up)  # in front of each a row of zeros, for TEXT
        down, bias, up = (F.pad(weight, (0, 0) * (weight.dim() - 1) + (1, 0))[kinds] for weight in weights)
        return F.gelu(torch.baddbmm(bias[:, None], states, down)) @ up


class TokenRouter(nn.Module):
    """Whether a token goes through a layer's feed-forward network. Initially all do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.full((), OPEN))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """states (N, T, W) -> 1 where the network is computed, 0 where it is not, (N, T).

        The gradient is that of the probability (straight-through, arXiv 1308.3432).
        """
        chance = (states.float() @ self.weight + self.bias).sigmoid()
        return (chance > 0.5).float() + (chance - chance.detach())


class ExpertLayer(BertLayer):
    """BERT's layer with experts beside its feed-forward network.

    They and the router belong to the caller, so that this layer's state dict is that of a BERT.
    """

    def forward(
        self, states: torch.Tensor, attention: torch.Tensor | None, kinds: torch.Tensor, experts: Experts,
        router: TokenRouter | None = None, prefix: Prefix | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """-> states (N, T, W), and the router's decision for each token (N, T)."""
        attended = self.attention(states, attention, past_key_values=prefix)[0]  # (N, T, W)
        made = self.output.dense(self.intermediate(attended)) + experts(attended, kinds)
        through = states.new_ones(states.shape[:2]) if router is None else router(attended)
        added = self.output.dropout(made) * through[..., None].to(made.dtype)
        return self.output.LayerNorm(added + attended), through
