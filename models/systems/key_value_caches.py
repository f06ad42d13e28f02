"""Key-value caches of the decoder: growing, of fixed size, of a sliding window, or quantised to a few bits.

Only the quantised one is our own, the others are transformers'. Its own quantised caches cannot take tokens back (fp8)
or need further packages (the integer backends).
Legend: B batch, G key-value heads, S tokens in the cache, T new tokens, D width of a head.
"""

from __future__ import annotations

from typing import Any

import torch

from models.network.config import GroundedConfig

# isort: split
from transformers.cache_utils import BaseQuantizedLayer, Cache, DynamicSlidingWindowLayer

LEAST_STEP = 1e-6  # of a quantised head whose numbers are all alike, against division by 0

Codes = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (B, G, S, D * bits / 8) uint8; minimum and step, (B, G, S, 1)


class IntegerLayer(BaseQuantizedLayer):
    """Keys and values as integers of 8 or 4 bits, with a minimum and a step for each token and head.

    After KIVI (arXiv 2402.02750). A token is quantised once, when it arrives, and is read as quantised from then on.
    So an answer does not depend on how many tokens came in one pass, and tokens can be taken back.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def _quantize(self, states: torch.Tensor) -> Codes:
        """(B, G, S, D) -> its codes."""
        low, high = states.aminmax(dim=-1, keepdim=True)  # (B, G, S, 1)
        step = ((high - low) / (2**self.bits - 1)).clamp_min(LEAST_STEP)
        low, step = low.half(), step.half()
        codes = ((states - low) / step).round().clamp(0, 2**self.bits - 1).to(torch.uint8)  # (B, G, S, D)
        if self.bits == 4:
            codes = codes[..., ::2] | codes[..., 1::2] << 4  # (B, G, S, D / 2)
        return codes, low, step

    def _dequantize(self, quantised: Codes) -> torch.Tensor:
        """-> (B, G, S, D)."""
        codes, low, step = quantised
        if self.bits == 4:
            codes = torch.stack((codes & 15, codes >> 4), -1).flatten(-2)  # (B, G, S, D)
        return codes.to(self.dtype) * step + low

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """New states (B, G, T, D) -> all keys and values (B, G, S, D)."""
        new = self._quantize(key_states), self._quantize(value_states)
        if self.is_initialized:
            new = tuple(_appended(old, more) for old, more in zip(self._quantised, new, strict=True))
        else:
            self.lazy_initialization(key_states, value_states)
        self._quantised = new
        self.cumulative_length += key_states.shape[-2]
        return self._dequantize(new[0]), self._dequantize(new[1])

    @property
    def _quantised(self) -> tuple[Codes, Codes]:
        return self._quantized_keys, self._quantized_values

    @_quantised.setter
    def _quantised(self, both: tuple[Codes, Codes]) -> None:
        self._quantized_keys, self._quantized_values = both

    def crop(self, tokens_to_remove: int) -> None:
        """Take back the last tokens. tokens_to_remove: negative, as transformers calls it."""
        if tokens_to_remove and self.is_initialized:
            keep = slice(None, tokens_to_remove)
            self._quantised = tuple(tuple(part[:, :, keep] for part in codes) for codes in self._quantised)
            self.cumulative_length += tokens_to_remove

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Choose rows of the batch, as beam search does."""
        if self.is_initialized:
            both = self._quantised
            self._quantised = tuple(tuple(part.index_select(0, beam_idx) for part in codes) for codes in both)


def _appended(codes: Codes, more: Codes) -> Codes:
    return tuple(torch.cat(pair, -2) for pair in zip(codes, more, strict=True))


def options(name: str, config: GroundedConfig, bits: int, window: int) -> dict[str, Any]:
    """Keyword arguments of `generate()` for a cache: dynamic, static, sliding or quantised.

    window: tokens of a sliding cache, the one being written among them. bits: of a number in a quantised cache.
    """
    if name == "sliding":
        layers = [DynamicSlidingWindowLayer(window) for _ in range(config.num_hidden_layers)]
        return {"past_key_values": Cache(layers=layers)}
    if name == "quantised":
        return {"past_key_values": Cache(layers=[IntegerLayer(bits) for _ in range(config.num_hidden_layers)])}
    return {"cache_implementation": name} if name == "static" else {}


def cache_bytes(cache: Cache) -> int:
    """Bytes of all tensors of a cache."""
    parts = [part for layer in cache.layers for part in vars(layer).values()]
    tensors = [tensor for part in parts for tensor in (part if isinstance(part, tuple) else (part,))]
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
