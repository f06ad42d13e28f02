"""Weights and tokenizer of a Llama out of a GGUF file (llama.cpp's format), with an adapter of low rank put in.

In: a path. Out: float32 matrices under llama.cpp's names ("blk.0.attn_q.weight"), in the layout that transformers
uses, and a `tokenizers.Tokenizer`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.common.errors import WeightsError

if TYPE_CHECKING:
    from gguf import GGUFReader
    from tokenizers import Tokenizer

# llama.cpp's names of the matrices of a layer, by those of transformers
MATRICES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a Llama. heads, groups: of queries, and of keys and values. theta: the base of RoPE."""

    layers: int
    width: int
    heads: int
    groups: int
    theta: float
    epsilon: float


def open_gguf(path: Path) -> GGUFReader:
    """Raises WeightsError for a file that is no GGUF of a Llama."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        architecture = _value(reader, "general.architecture")
    except (ValueError, KeyError, IndexError) as error:
        raise WeightsError(f"{path} is no GGUF file ({error})") from error
    if architecture != "llama" or _value(reader, "tokenizer.ggml.pre") != "smollm":
        raise WeightsError(f"{path} holds no SmolLM2 but a model of the architecture {architecture!r}")
    return reader


def sizes(reader: GGUFReader) -> Sizes:
    names = ("block_count", "embedding_length", "attention.head_count", "attention.head_count_kv", "rope.freq_base")
    return Sizes(*(_value(reader, f"llama.{name}") for name in (*names, "attention.layer_norm_rms_epsilon")))


def tokenizer(reader: GGUFReader) -> Tokenizer:
    """Byte-level BPE, each digit a token; the chat's signs are tokens of their own."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = _value(reader, "tokenizer.ggml.tokens")
    merges = [tuple(pair.split(" ")) for pair in _value(reader, "tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    control = [at for at, kind in enumerate(_value(reader, "tokenizer.ggml.token_type")) if kind == 3]
    made.add_special_tokens([AddedToken(tokens[at], normalized=False, special=True) for at in control])
    return made


def weights(reader: GGUFReader, adapter: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All matrices, float32 (out, in). adapter: "LAYER.MATRIX.a" (rank, in) and "LAYER.MATRIX.b" (out, rank)."""
    from gguf import dequantize

    size = sizes(reader)
    heads = {"attn_q": size.heads, "attn_k": size.groups}
    found = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        part = tensor.name.split(".")[-2]
        if part in heads:  # llama.cpp keeps the two halves that RoPE turns side by side, transformers apart
            apart = values.reshape(heads[part], -1, 2, values.shape[1])
            values = apart.swapaxes(1, 2).reshape(values.shape)
        found[tensor.name] = values
    for name in adapter:
        layer, matrix, half = name.split(".")
        if half == "a":
            low, high = adapter[name].astype(np.float32), adapter[f"{layer}.{matrix}.b"].astype(np.float32)
            found[f"blk.{layer}.{MATRICES[matrix]}.weight"] += high @ low
    return found


def _value(reader: GGUFReader, name: str):
    return reader.fields[name].contents()
