"""The decoder's key-value cache while it writes: one that grows, one of fixed size, a sliding window, or a few bits a number.

All but the last are transformers' own; so is fp8, but its layers cannot be rolled back, and the integer backends need packages of their own.
Legend: B batch, G key-value heads, S tokens, D width of a head.
"""

from __future__ import annotations

from typing import Any

import torch

from models.network.config import GroundedConfig

# isort: split
from transformers.cache_utils import BaseQuantizedLayer, Cache, DynamicSlidingWindowLayer

LEAST = 1e-6  # step of a code, where all numbers of a head are alike

Codes = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (B, G, S, D * bits / 8) uint8, lowest number and step (B, G, S, 1) float16


class IntegerLayer(BaseQuantizedLayer):
    """Keys and values as integers of 8 or 4 bits, with a lowest number and a step for each token and head (after KIVI, arXiv 2402.02750).

    What is kept is a function of the tokens alone: it is never quantised again, and is read as it is kept from the first token on. So an answer does not depend
    on how many tokens came at once, and tokens can be taken back.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def _quantize(self, states: torch.Tensor) -> Codes:
        """(B, G, S, D) -> its codes."""
        low, high = states.aminmax(dim=-1, keepdim=True)  # (B, G, S, 1)
        step = ((high - low) / (2**self.bits - 1)).clamp_min(LEAST)
        low, step = low.half(), step.half()
        codes = ((states - low) / step).round().clamp(0, 2**self.bits - 1).to(torch.uint8)  # (B, G, S, D)
        if self.bits == 4:
            codes = codes[..., ::2] | codes[..., 1::2] << 4  # (B, G, S, D / 2)
        return codes, low, step

    def _dequantize(self, kept: Codes) -> torch.Tensor:
        """-> (B, G, S, D)."""
        codes, low, step = kept
        if self.bits == 4:
            codes = torch.stack((codes & 15, codes >> 4), -1).flatten(-2)  # (B, G, S, D)
        return codes.to(self.dtype) * step + low

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """New states (B, G, T, D) -> all keys and values (B, G, S, D)."""
        new = self._quantize(key_states), self._quantize(value_states)
        if self.is_initialized:
            new = tuple(tuple(torch.cat(pair, -2) for pair in zip(*both, strict=True)) for both in zip(self._kept, new, strict=True))
        else:
            self.lazy_initialization(key_states, value_states)
        self._kept = new
        self.cumulative_length += key_states.shape[-2]
        return self._dequantize(new[0]), self._dequantize(new[1])

    @property
    def _kept(self) -> tuple[Codes, Codes]:
        return self._quantized_keys, self._quantized_values

    @_kept.setter
    def _kept(self, both: tuple[Codes, Codes]) -> None:
        self._quantized_keys, self._quantized_values = both

    def crop(self, tokens_to_remove: int) -> None:
        """tokens_to_remove: negative, as transformers has it."""
        if tokens_to_remove and self.is_initialized:
            self._kept = tuple(tuple(part[:, :, :tokens_to_remove] for part in codes) for codes in self._kept)
            self.cumulative_length += tokens_to_remove

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        if self.is_initialized:
            self._kept = tuple(tuple(part.index_select(0, beam_idx) for part in codes) for codes in self._kept)


def options(name: str, config: GroundedConfig, bits: int, window: int) -> dict[str, Any]:
    """What `generate()` is given for a cache: dynamic, static, sliding over `window` tokens (the one that is written among them), or quantised to `bits` bits."""
    if name == "sliding":
        return {"past_key_values": Cache(layers=[DynamicSlidingWindowLayer(window) for _ in range(config.num_hidden_layers)])}
    if name == "quantised":
        return {"past_key_values": Cache(layers=[IntegerLayer(bits) for _ in range(config.num_hidden_layers)])}
    return {"cache_implementation": name} if name == "static" else {}


def held(cache: Cache) -> int:
    """Bytes of all that a cache keeps."""
    parts = [part for layer in cache.layers for part in vars(layer).values()]
    tensors = [tensor for part in parts for tensor in (part if isinstance(part, tuple) else (part,))]
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
