"""A Llama as an ONNX graph with 8-bit weights and a cache of keys and values: one step of decoding.

Weights are symmetric 8-bit levels in blocks of BLOCK along the input (MatMulNBits), activations are quantised by the
kernel. tests/models/writer holds the graph's logits to those of transformers.
Legend: B rows, A new tokens, P tokens before them, C width, G key-value heads, H query heads, D width of a head.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from models.common.onnx_graph import MS, Graph
from models.writer.gguf_weights import MATRICES, Sizes

BLOCK = 32
LONGEST = 512  # tokens, of prompt and statement
FLOAT, INT, LONG = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


def llama(weights: Mapping[str, np.ndarray], sizes: Sizes) -> onnx.ModelProto:
    """-> `logits` (B, V) of the last token, and `keys.LAYER`, `values.LAYER` (B, G, P + A, D), all float32. Inputs:

        ids         (B, A) int64
        last        (B,) int32: P + A - 1 of each row, which are alike
        total       (1,) int32: P + A
        keys.LAYER.before, values.LAYER.before      (B, G, P, D) float32; P may be 0
    """
    graph = _Llama(weights, sizes)
    x = graph.embedded("ids")  # (B, A, C)
    cached: dict[str, tuple[int, list[str | int]]] = {}
    inputs: dict[str, tuple[int, list[str | int]]] = {
        "ids": (LONG, ["rows", "tokens"]), "last": (INT, ["rows"]), "total": (INT, [1]),
    }  # fmt: skip
    for layer in range(sizes.layers):
        x = graph.layer(x, layer)
        for name in (f"keys.{layer}", f"values.{layer}"):
            inputs[f"{name}.before"] = (FLOAT, ["rows", sizes.groups, "before", graph.head])
            cached[name] = (FLOAT, ["rows", sizes.groups, "after", graph.head])
    x = graph.node("Gather", [x, graph.constant("end", np.array(-1, np.int64))], "x.last", axis=1)  # (B, C)
    graph.times(graph.norm(x, "output_norm"), "token_embd", "logits")
    return graph.model(inputs, {"logits": (FLOAT, ["rows", "vocabulary"]), **cached})


def blocks(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """weight (out, in) -> levels (out, in / BLOCK, BLOCK) uint8 around 128, and the worth of one, (out, in / BLOCK)."""
    apart = weight.reshape(len(weight), -1, BLOCK)
    scale = np.maximum(np.abs(apart).max(-1), 1e-9) / 127
    levels = np.rint(apart / scale[..., None]) + 128
    return levels.astype(np.uint8), scale.astype(np.float32)


class _Llama(Graph):
    def __init__(self, weights: Mapping[str, np.ndarray], sizes: Sizes) -> None:
        super().__init__()
        self._weights, self._sizes = weights, sizes
        self.head = sizes.width // sizes.heads
        turns = np.outer(np.arange(LONGEST), sizes.theta ** -(np.arange(0, self.head, 2) / self.head))
        self.constant("cos", np.cos(turns).astype(np.float32))  # (LONGEST, D / 2)
        self.constant("sin", np.sin(turns).astype(np.float32))

    def embedded(self, ids: str) -> str:
        """(B, A) -> (B, A, C): the rows of the head, which is tied."""
        levels, scale = self._matrix("token_embd")
        levels = self.node("Cast", [self.node("Gather", [levels, ids], "ids.levels")], "ids.float", to=FLOAT)
        middle = self.constant("middle", np.array(128, np.float32))
        scale = self.node("Unsqueeze", [self.node("Gather", [scale, ids], "ids.scale"), "last_axis"], "ids.scales")
        words = self.node("Mul", [self.node("Sub", [levels, middle], "ids.shifted"), scale], "ids.blocks")
        return self.node("Reshape", [words, self.constant("ids.shape", np.array([0, 0, -1], np.int64))], "words")

    def times(self, x: str, matrix: str, name: str) -> str:
        """x (..., in) -> (..., out)."""
        levels, scale = self._matrix(matrix)
        rows, columns = self._weights[f"{matrix}.weight"].shape
        sizes = {"N": rows, "K": columns, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        return self.node("MatMulNBits", [x, levels, scale], name, domain=MS, **sizes)

    def norm(self, x: str, weight: str) -> str:
        gain = self.constant(f"{weight}.weight", self._weights[f"{weight}.weight"])
        return self.node(
            "SimplifiedLayerNormalization", [x, gain], weight, axis=-1, epsilon=float(self._sizes.epsilon)
        )

    def layer(self, x: str, layer: int) -> str:
        at = f"blk.{layer}"
        normed = self.norm(x, f"{at}.attn_norm")
        parts = [self.times(normed, f"{at}.{MATRICES[f'{part}_proj']}", f"{at}.{part}") for part in "qkv"]
        cached = [f"keys.{layer}", f"values.{layer}"]
        attended = self.node(
            "GroupQueryAttention",
            [*parts, *(f"{name}.before" for name in cached), "last", "total", "cos", "sin"],
            "", [f"{at}.attended", *cached], domain=MS,
            num_heads=self._sizes.heads, kv_num_heads=self._sizes.groups, do_rotary=1,
        )  # fmt: skip
        x = self.node("Add", [x, self.times(attended, f"{at}.attn_output", f"{at}.o")], f"{at}.x.attended")
        normed = self.norm(x, f"{at}.ffn_norm")
        gate = self.times(normed, f"{at}.ffn_gate", f"{at}.gate")
        opened = self.node("Mul", [gate, self.node("Sigmoid", [gate], f"{at}.sigmoid")], f"{at}.silu")
        inner = self.node("Mul", [opened, self.times(normed, f"{at}.ffn_up", f"{at}.up")], f"{at}.inner")
        return self.node("Add", [x, self.times(inner, f"{at}.ffn_down", f"{at}.down")], f"{at}.x")

    def _matrix(self, name: str) -> tuple[str, str]:
        levels, scale = f"{name}.levels", f"{name}.scale"
        if levels not in self.constants:
            for constant, values in zip((levels, scale), blocks(self._weights[f"{name}.weight"]), strict=True):
                self.constant(constant, values)
        return levels, scale
