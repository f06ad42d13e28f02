"""Attention in a sliding window, with a few tokens that all others read: time and memory linear in a text's length.

A token reads those at most `attention_window` tokens away (before it, in a decoder) and the first `attention_globals`
of its text, which read all (the pattern of Longformer, arXiv 2004.05150, and BigBird, arXiv 2007.14062; in a decoder
the first tokens are the sinks of arXiv 2309.17453). It is computed exactly, block by block: no mask of all pairs is
ever made. Registered with transformers as NAME, so that memory encoder and decoder are chosen for it by
`attn_implementation`.

SparseAttentionForCausalLM is the grounded model that is saved with its window, and opened by its model_type
(models.systems.variants). Legend: B texts, H query heads, G key-value heads, T queries, K keys, D width of a head,
N global tokens, C queries of a block, S keys near it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from models.common.errors import AttentionError
from models.common.torchvision_ops import ensure_operators

ensure_operators()

from huggingface_hub.dataclasses import strict  # noqa: E402
from transformers import (  # noqa: E402
    AttentionInterface,
    AttentionMaskInterface,
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function  # noqa: E402

from models.network.config import GroundedConfig, settings  # noqa: E402
from models.network.grounded import GroundedForCausalLM  # noqa: E402
from models.reader.sequences import BLOCK_POSITION  # noqa: E402

NAME = "sparse"
NEAR = 128  # tokens to each side, if not given
FIRST = BLOCK_POSITION  # global tokens, if not given: all of the question, which comes first in the upper layers


@strict
class SparseAttentionConfig(GroundedConfig):
    """attention_window: tokens to each side that a token reads. attention_globals: first tokens that all read."""

    model_type = "grounded_sparse_attention"

    attention_window: int = NEAR
    attention_globals: int = FIRST

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self._attn_implementation is None:  # else it was asked to attend in another way
            choose(self, self.attention_window, self.attention_globals)


class SparseAttentionForCausalLM(GroundedForCausalLM):
    config_class = SparseAttentionConfig


def with_sparse_attention(
    model: PreTrainedModel, attention_window: int = NEAR, attention_globals: int = FIRST
) -> PreTrainedModel:
    """The model, attending so. Raises AttentionError for numbers that cannot be.

    A GroundedForCausalLM becomes a SparseAttentionForCausalLM, which is saved and opened as one. Any other model,
    another variant too, attends so until it is saved.
    """
    choose(model.config, attention_window, attention_globals)
    if type(model) is not GroundedForCausalLM:
        return model
    given = settings(model.config) | {"attention_window": attention_window, "attention_globals": attention_globals}
    made = SparseAttentionForCausalLM(SparseAttentionConfig.from_dict(given)).train(model.training)
    made.load_state_dict(model.state_dict())
    for name, weight in model.named_parameters():
        made.get_parameter(name).requires_grad_(weight.requires_grad)
    return made.to(model.device)


def choose(config: PreTrainedConfig, window: int, first: int) -> None:
    """Set a configuration, and those inside of it, to attend so; `first` tokens are global. Raises AttentionError."""
    if window < 1 or first < 0:
        raise AttentionError(f"a window of {window} tokens and {first} global ones: give at least 1 and 0")
    for one in (config, *(getattr(config, name) for name in config.sub_configs)):
        one.attention_window, one.attention_globals = window, first
    config._attn_implementation = NAME


def attend(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
    scaling: float | None = None, dropout: float = 0.0, is_causal: bool | None = None, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """query (B, H, T, D), key and value (B, G, K, D), the mask of `readable` -> (B, T, H, D).

    The last of the keys are the queries' own; those before are a cache, or in an encoder a prefix, which is global.
    """
    causal = module.is_causal if is_causal is None else is_causal
    b, _, t, d = query.shape
    k = key.shape[2]
    before, window = k - t, min(module.config.attention_window, k)
    count = min(k, module.config.attention_globals + (0 if causal else before))
    place = torch.arange(k, device=key.device)
    everything = torch.ones(b, k, dtype=torch.bool, device=key.device)
    seen = everything if attention_mask is None else attention_mask[:, 0, 0]  # (B, K)
    start = seen.int().argmax(1, keepdim=True).clamp_max(k - count)  # (B, 1): a text may be padded on its left
    first = start + place[:count]  # (B, N)
    near_seen = seen & ((place < start) | (place >= start + count))  # (B, K): those in `first` are read once
    first_seen = seen.gather(1, first)  # (B, N)

    def picked(states: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return states.gather(2, at[:, None, :, None].expand(-1, states.shape[1], -1, d))

    def read(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        closed = torch.finfo(query.dtype).min  # finite: a row of padding alone gives no NaN
        bias = torch.where(allowed, 0.0, closed).to(query.dtype)[:, None]
        grouped = query.shape[1] > key.shape[1]
        return F.scaled_dot_product_attention(
            queries, keys, values, bias, dropout_p=dropout, scale=scaling, enable_gqa=grouped
        )

    first_keys, first_values = picked(key, first), picked(value, first)  # (B, G, N, D)
    begin = max(0, before - window)
    # keys near the first query and before it, then one block of at most `window` after another
    sizes = [before - begin, *(min(window, t - at) for at in range(0, t, window))]
    places = place[begin:].split(sizes)
    keys, values = key[:, :, begin:].split(sizes, 2), value[:, :, begin:].split(sizes, 2)
    out = []
    for at, queries in enumerate(query.split(window, 2)):
        around = slice(at, at + (2 if causal else 3))
        own, near = places[at + 1][:, None], torch.cat(places[around])  # (C, 1), (S,)
        reached = (own - near <= window) & (own - near >= (0 if causal else -window))  # (C, S)
        past = (first[:, None] <= own) if causal else torch.ones_like(own, dtype=torch.bool)  # (B or 1, C, N or 1)
        allowed = torch.cat((first_seen[:, None] & past, near_seen[:, None, near] & reached), 2)  # (B, C, N + S)
        read_keys = torch.cat((first_keys, *keys[around]), 2)  # (B, G, N + S, D)
        read_values = torch.cat((first_values, *values[around]), 2)
        out.append(read(queries, read_keys, read_values, allowed))
    attended = torch.cat(out, 2)  # (B, H, T, D)
    if not causal and count > before:
        rows = first[:, before:] - before
        whole = read(picked(query, rows), key, value, seen[:, None].expand(-1, rows.shape[1], -1))
        attended = attended.scatter(2, rows[:, None, :, None].expand_as(whole), whole)
    return attended.transpose(1, 2).contiguous(), None


def readable(
    *, q_length: int, kv_length: int, q_offset: int = 0, mask_function: Any = causal_mask_function,
    attention_mask: torch.Tensor | None = None, **_: Any,
) -> torch.Tensor | None:  # fmt: skip
    """Which keys are no padding, (B, 1, Q, K) as transformers' masks, but a view of (B, K). Raises AttentionError."""
    if mask_function not in (causal_mask_function, bidirectional_mask_function):
        raise AttentionError(
            "sparse attention reads one text a row: give texts that are packed together an attention mask, "
            "or --attention sdpa"
        )
    if kv_length != q_offset + q_length:
        raise AttentionError("sparse attention needs a cache that grows: leave out cache_implementation")
    return None if attention_mask is None else attention_mask.bool()[:, None, None].expand(-1, -1, q_length, -1)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, readable)
AutoConfig.register(SparseAttentionConfig.model_type, SparseAttentionConfig)
AutoModelForCausalLM.register(SparseAttentionConfig, SparseAttentionForCausalLM)
