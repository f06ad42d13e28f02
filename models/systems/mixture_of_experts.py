"""Mixture of experts: each decoder layer has several feed-forward networks, and a token goes to a few of them.

Token choice by a softmax over all experts (arXiv 2101.03961, 2401.04088), so that a token's way depends on its own
state alone: neither on what follows nor on its batch. The best expert always runs; the others may be null experts,
which add nothing and cost nothing (arXiv 2601.15370). The balance is asked for by modality, and more loosely of tables
and pages: an even use of all experts harms modalities whose tokens are long-tailed (arXiv 2507.01351). Experts are
computed through transformers' interface: `grouped_mm`, `batched_mm` or `eager`.

A variant of the grounded network: it subclasses config, decoder layer, decoder and model, and is opened by its
model_type (models.systems.variants).
Legend: n tokens, C decoder width, E experts, M null experts, K experts of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn
from torch.nn import functional as F

from models.common.torchvision_ops import ensure_operators

ensure_operators()

from huggingface_hub.dataclasses import strict  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, LlamaModel  # noqa: E402
from transformers.modeling_outputs import BaseModelOutputWithPast  # noqa: E402
from transformers.models.mixtral.modeling_mixtral import MixtralExperts  # noqa: E402
from transformers.utils.output_capturing import OutputRecorder  # noqa: E402

from models.network.config import GroundedConfig  # noqa: E402
from models.network.cross_attention import GroundedDecoderLayer  # noqa: E402
from models.network.grounded import GroundedForCausalLM, GroundedModel  # noqa: E402
from models.reader.coordinates import BlockModality  # noqa: E402

STRICTNESS = {BlockModality.TEXT: 1.0, BlockModality.TABLE: 0.5, BlockModality.PAGE: 0.25}  # of the balance


@strict
class MixtureOfExpertsConfig(GroundedConfig):
    """num_local_experts: of each decoder layer. num_experts_per_tok: of these and of num_null_experts, one token's.

    output_router_logits: as in MixtralConfig; the balance is computed from these logits.
    """

    model_type = "grounded_mixture_of_experts"

    num_local_experts: int = 4
    num_experts_per_tok: int = 2
    num_null_experts: int = 0
    output_router_logits: bool = True

    def validate_experts(self) -> None:
        """Part of the validation that `@strict` runs."""
        experts, active = self.num_local_experts, self.num_experts_per_tok
        if not 1 <= active <= experts:
            raise ValueError(f"num_experts_per_tok {active}: there are {experts} experts")


def chosen(chances: torch.Tensor, experts: int, active: int) -> torch.Tensor:
    """The best expert of each token and the next active - 1, null experts among these: (n, E + M) -> (n, K).

    Indices from `experts` on are null experts. Chances or their logits: only their order matters.
    """
    best = chances[:, :experts].argmax(-1, keepdim=True)  # (n, 1)
    others = chances.scatter(1, best, float("-inf")).topk(active - 1).indices  # (n, K - 1)
    return torch.cat((best, others), 1)


class Router(nn.Module):
    def __init__(self, config: MixtureOfExpertsConfig) -> None:
        super().__init__()
        self.experts, self.active = config.num_local_experts, config.num_experts_per_tok
        drawn = torch.randn(self.experts + config.num_null_experts, config.hidden_size)
        self.weight = nn.Parameter(drawn * config.initializer_range)

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """states (n, C) -> logits (n, E + M), weights (n, K) that sum to 1, experts (n, K).

        Index E stands for any null expert, whose weight is 0.
        """
        with torch.autocast(states.device.type, enabled=False):
            logits = F.linear(states.float(), self.weight.float())  # (n, E + M)
        chances = logits.softmax(-1)
        index = chosen(chances.detach(), self.experts, self.active)  # (n, K)
        weights = chances.gather(1, index) * (index < self.experts)  # (n, K)
        return logits, (weights / weights.sum(1, keepdim=True)).to(states.dtype), index.clamp_max(self.experts)


class Mixture(nn.Module):
    """Takes the place of a decoder layer's feed-forward network."""

    def __init__(self, config: MixtureOfExpertsConfig) -> None:
        super().__init__()
        self.router = Router(config)
        self.experts = MixtralExperts(config)
        # transformers leaves out the rows of experts on other devices; here these are the null experts
        self.experts._is_expert_parallel = config.num_null_experts > 0
        for weight in self.experts.parameters():
            nn.init.normal_(weight, std=config.initializer_range)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """states (B, T, C) -> (B, T, C)."""
        flat = states.flatten(0, 1)  # (n, C)
        _, weights, index = self.router(flat)
        return self.experts(flat, index, weights).view_as(states)


class MixtureOfExpertsDecoderLayer(GroundedDecoderLayer):
    def __init__(self, config: MixtureOfExpertsConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        self.mlp = Mixture(config)


class MixtureOfExpertsModel(GroundedModel):
    config_class = MixtureOfExpertsConfig
    layer_class = MixtureOfExpertsDecoderLayer
    _can_record_outputs = {  # noqa: RUF012 - transformers' own form
        **LlamaModel._can_record_outputs, "router_logits": OutputRecorder(None, class_name="mlp.router"),
    }  # fmt: skip


class MixtureOfExpertsForCausalLM(GroundedForCausalLM):
    config_class = MixtureOfExpertsConfig
    decoder_class = MixtureOfExpertsModel
    _no_split_modules = ["MixtureOfExpertsDecoderLayer"]  # noqa: RUF012 - transformers' own form

    def decoder_losses(self, outputs: BaseModelOutputWithPast, modalities: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"balance": balance(outputs.router_logits, modalities, self.config)}


def loads(logits: torch.Tensor, config: MixtureOfExpertsConfig) -> torch.Tensor:
    """The share of all choices that goes to each expert: one layer's logits (n, E + M) -> (E + M,)."""
    index = chosen(logits.detach(), config.num_local_experts, config.num_experts_per_tok)  # (n, K)
    return torch.bincount(index.flatten(), minlength=logits.shape[1]) / index.numel()


def balance(logits: Sequence[torch.Tensor], kinds: torch.Tensor, config: MixtureOfExpertsConfig) -> torch.Tensor:
    """The loss that is least where experts are chosen evenly: (E + M) sum load * mean chance (arXiv 2101.03961).

    Summed over the modalities of the batch. logits: (n, E + M) of each layer; kinds (n,): the modality of each token.
    """
    there = [kind for kind in BlockModality if (kinds == kind).any()]
    parts = [
        STRICTNESS[kind] * one.shape[1] * (loads(one, config) * one.softmax(-1).mean(0)).sum()
        for kind in there for layer in logits for one in [layer[kinds == kind].float()]
    ]  # fmt: skip
    return torch.stack(parts).sum() / len(logits)


def grouped_flops(first: torch.Tensor, second: torch.Tensor, ends: torch.Tensor, *_: object, **__: object) -> int:
    """Operations of F.grouped_mm, forward or backward, for `FlopCounterMode(custom_mapping=COUNTED)`; torch counts 0.

    first (n, I) with second (E, I, O), or first (I, n) with second (n, O); of the n rows those up to the last of
    `ends` (E,) are computed.
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


AutoConfig.register(MixtureOfExpertsConfig.model_type, MixtureOfExpertsConfig)
AutoModelForCausalLM.register(MixtureOfExpertsConfig, MixtureOfExpertsForCausalLM)
