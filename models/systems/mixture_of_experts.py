"""Mixture of experts: each decoder layer has several feed-forward networks, and a token goes to a few of them.

Token choice by a softmax over all experts (arXiv 2101.03961, 2401.04088), so that a token's way depends on its own state alone: neither on what follows nor
on its batch. The best expert always runs; the others may be null experts, which add nothing and cost nothing (arXiv 2601.15370). The balance is asked for by
modality, and more loosely of tables and pages: an even use of all experts harms modalities whose tokens are long-tailed (arXiv 2507.01351). Experts are
computed through transformers' interface: `grouped_mm`, `batched_mm` or `eager`. Legend: n tokens, C decoder width, E experts, M null experts, K experts of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn
from torch.nn import functional as F

from models.common.torchvision_ops import ensure_operators

ensure_operators()

from transformers.models.mixtral.modeling_mixtral import MixtralExperts  # noqa: E402

from models.network.config import GroundedConfig  # noqa: E402
from models.reader.coordinates import Kind  # noqa: E402
from models.training.question_batches import QuestionBatch  # noqa: E402

STRICTNESS = {Kind.TEXT: 1.0, Kind.TABLE: 0.5, Kind.PAGE: 0.25}  # of the balance
PADDING = -1  # no modality


def chosen(chances: torch.Tensor, experts: int, active: int) -> torch.Tensor:
    """The best expert of each token and the next active - 1, null experts among these: (n, E + M) -> (n, K), those from `experts` on being null.

    Chances or their logits: only their order matters.
    """
    best = chances[:, :experts].argmax(-1, keepdim=True)  # (n, 1)
    others = chances.scatter(1, best, float("-inf")).topk(active - 1).indices  # (n, K - 1)
    return torch.cat((best, others), 1)


class Router(nn.Module):
    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        self.experts, self.active = config.num_local_experts, config.num_experts_per_tok
        self.weight = nn.Parameter(torch.randn(self.experts + config.num_null_experts, config.hidden_size) * config.initializer_range)

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """states (n, C) -> logits (n, E + M), weights (n, K) that sum to 1, experts (n, K); E stands for any null expert, whose weight is 0."""
        with torch.autocast(states.device.type, enabled=False):
            logits = F.linear(states.float(), self.weight.float())  # (n, E + M)
        chances = logits.softmax(-1)
        index = chosen(chances.detach(), self.experts, self.active)  # (n, K)
        weights = chances.gather(1, index) * (index < self.experts)  # (n, K)
        return logits, (weights / weights.sum(1, keepdim=True)).to(states.dtype), index.clamp_max(self.experts)


class Mixture(nn.Module):
    """What stands in for a layer's feed-forward network."""

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        self.router = Router(config)
        self.experts = MixtralExperts(config)
        self.experts._is_expert_parallel = config.num_null_experts > 0  # so that rows of null experts are left out, as of experts elsewhere
        for weight in self.experts.parameters():
            nn.init.normal_(weight, std=config.initializer_range)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """states (B, T, C) -> (B, T, C)."""
        flat = states.flatten(0, 1)  # (n, C)
        _, weights, index = self.router(flat)
        return self.experts(flat, index, weights).view_as(states)


def modalities(batch: QuestionBatch) -> torch.Tensor:
    """The Kind of the memory that each decoder token of a batch reads, pages before tables before text; PADDING where there is no token: (B * A,)."""
    kinds = batch.kinds.new_zeros(len(batch.question_ids)).scatter_reduce(0, batch.owner, batch.kinds, "amax")  # (B,)
    return torch.where(batch.decoder_mask.bool(), kinds[:, None], PADDING).flatten()


def loads(logits: torch.Tensor, config: GroundedConfig) -> torch.Tensor:
    """The share of all choices that goes to each expert: one layer's logits (n, E + M) -> (E + M,)."""
    index = chosen(logits.detach(), config.num_local_experts, config.num_experts_per_tok)  # (n, K)
    return torch.bincount(index.flatten(), minlength=logits.shape[1]) / index.numel()


def balance(logits: Sequence[torch.Tensor], kinds: torch.Tensor, config: GroundedConfig) -> torch.Tensor:
    """The loss that is least where experts are chosen evenly: (E + M) sum load * mean chance (arXiv 2101.03961), of each modality that is there.

    logits: (n, E + M) of each layer; kinds (n,) as of `modalities`.
    """
    there = [kind for kind in Kind if (kinds == kind).any()]
    parts = [
        STRICTNESS[kind] * one.shape[1] * (loads(one, config) * one.softmax(-1).mean(0)).sum()
        for kind in there for layer in logits for one in [layer[kinds == kind].float()]
    ]  # fmt: skip
    return torch.stack(parts).sum() / len(logits)


def grouped_flops(first: torch.Tensor, second: torch.Tensor, ends: torch.Tensor, *_: object, **__: object) -> int:
    """Operations of F.grouped_mm, forward or backward, which `FlopCounterMode(custom_mapping=COUNTED)` would else count as 0.

    first (n, I) with second (E, I, O), or first (I, n) with second (n, O); of the n rows those up to the last of `ends` (E,) are computed.
    """
    sides = prod(second.shape[1:]) if second.dim() == 3 else first.shape[0] * second.shape[1]
    return 2 * int(ends[-1]) * sides


grouped_flops._get_raw = True  # torch: hand over tensors, not their shapes
COUNTED = {torch.ops.aten._grouped_mm: grouped_flops}


def active_weights(model: nn.Module) -> int:
    """Weights that one token is computed with, null experts not chosen."""
    count = sum(weight.numel() for weight in model.parameters())
    for mixture in model.modules():
        if isinstance(mixture, Mixture):
            idle = mixture.router.experts - mixture.router.active
            count -= sum(weight[:idle].numel() for weight in mixture.experts.parameters())
    return count
