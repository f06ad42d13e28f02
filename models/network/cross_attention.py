"""Gated cross-attention over memory, after Flamingo (arXiv 2204.14198) and Mllama, with a slot for "nothing here".

No position enters, so that the order of the blocks does not matter. Legend: B batch, T decoder tokens, C decoder width,
H query heads, G key-value heads, S slots, D width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from models.common.torchvision_ops import ensure_operators

ensure_operators()

from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaMLP, LlamaRMSNorm  # noqa: E402
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention  # noqa: E402

from models.network.config import GroundedConfig  # noqa: E402


class Attend(nn.Module):
    """Scaled dot product attention of grouped heads; a module, so that tensor parallelism can be applied to it."""

    def forward(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """query (B, H, T, D); keys, values (B, G, S, D); mask (B, 1, 1, S), added to the scores -> (B, H, T, D)."""
        return F.scaled_dot_product_attention(query, keys, values, mask, enable_gqa=True)


class GatedCrossAttention(nn.Module):
    """x += tanh(g_a) attend(norm x); x += tanh(g_f) mlp(norm x)."""

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        self.size = config.head_dim
        self.norm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.q_proj = nn.Linear(config.hidden_size, config.num_attention_heads * self.size, bias=False)
        self.query_norm = LlamaRMSNorm(self.size, eps=config.rms_norm_eps)
        sink = torch.zeros(config.num_key_value_heads, 1, self.size)
        self.sink = nn.Parameter(sink) if config.cross_sink else None  # a key whose value is zero
        self.o_proj = nn.Linear(config.num_attention_heads * self.size, config.hidden_size, bias=False)
        self.attend = Attend()
        self.mlp_norm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = LlamaMLP(config)
        self.attention_gate = nn.Parameter(torch.full((1,), float(config.cross_gate)))
        self.mlp_gate = nn.Parameter(torch.full((1,), float(config.cross_gate)))

    def forward(self, x: torch.Tensor, kv: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """x (B, T, C); kv (B, 2, G, S, D), of this layer; bias (B, S), -inf for closed slots -> (B, T, C)."""
        b, t, _ = x.shape
        query = self.query_norm(self.q_proj(self.norm(x)).view(b, t, -1, self.size).transpose(1, 2))  # (B, H, T, D)
        keys, values = kv[:, 0], kv[:, 1]  # (B, G, S, D)
        if self.sink is not None:
            sink = self.sink.expand(b, -1, -1, -1).to(kv.dtype)  # (B, G, 1, D)
            keys, values = torch.cat((sink, keys), 2), torch.cat((torch.zeros_like(sink), values), 2)
            bias = F.pad(bias, (1, 0))
        mask = bias[:, None, None].to(query.dtype)  # (B, 1, 1, slots)
        attended = self.attend(query.to(kv.dtype), keys, values, mask.to(kv.dtype))  # (B, H, T, D)
        x = x + self.attention_gate.tanh() * self.o_proj(attended.transpose(1, 2).reshape(b, t, -1))
        return x + self.mlp_gate.tanh() * self.mlp(self.mlp_norm(x))


class GroundedDecoderLayer(LlamaDecoderLayer):
    """Llama's layer, after which memory is read where the configuration says so.

    A variant is a subclass that puts another module in the place of `self_attn` or `mlp`.
    """

    def __init__(self, config: GroundedConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        if config.query_key_norm:
            self.self_attn = Qwen3Attention(config, layer_idx)
        reads = layer_idx in config.cross_attention_layers
        self.memory_index = config.cross_attention_layers.index(layer_idx) if reads else None
        if reads:
            self.cross_attn = GatedCrossAttention(config)

    def forward(
        self, hidden_states: torch.Tensor, *args: object,
        memory_kv: torch.Tensor | None = None, memory_scores: torch.Tensor | None = None, **kwargs: object,
    ) -> torch.Tensor:  # fmt: skip
        """memory_kv (B, L, 2, G, S, D); memory_scores (B, S). Without memory it is Llama's layer."""
        hidden_states = super().forward(hidden_states, *args, **kwargs)
        if memory_kv is None or self.memory_index is None:
            return hidden_states
        return self.cross_attn(hidden_states, memory_kv[:, self.memory_index], memory_scores)
