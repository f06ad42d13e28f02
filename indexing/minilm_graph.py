"""The default text encoder as an ONNX graph: BERT's layers, mean pooling and L2 norm, weights and activations in int8.

Written straight from the safetensors, so neither torch nor an exporter is needed. The contrib operators are ONNX
Runtime's own fused ones (com.microsoft). Activations are quantised per token row, not per tensor, so that an
embedding does not depend on what else stands in its batch; weights per output channel, to 7 bits, because AVX2
without VNNI saturates on the eighth. Knows nothing of tokenizers or files.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MS = "com.microsoft"
HEADS = 12
EPSILON = 1e-12  # of BERT's layer norms
ACTIVATION_LEVELS = 127.0  # of uint8 around the zero point 128
WEIGHT_LEVELS = 64.0


class _Graph:
    """Nodes and constants of a graph that is being written; `node` returns the name of the node's first output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def node(self, kind: str, inputs: list[str], name: str, outputs: list[str] | None = None, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, outputs or [name], name=name, **attributes))
        return (outputs or [name])[0]

    def linear(self, x: str, weight: np.ndarray, name: str) -> str:
        """x (B, S, in) times weight (in, out) in int8, back in float32 (B, S, out)."""
        scale = np.maximum(np.abs(weight).max(0), 1e-9) / WEIGHT_LEVELS  # (out,)
        levels = np.round(weight / scale).astype(np.int8)  # (in, out)
        largest = self.node("ReduceMax", [self.node("Abs", [x], f"{name}.abs"), "last_axis"], f"{name}.max", keepdims=1)
        largest = self.node("Max", [largest, "tiny"], f"{name}.largest")
        step = self.node("Mul", [largest, "per_level"], f"{name}.step")  # (B, S, 1)
        scaled = self.node("Div", [x, step], f"{name}.scaled")
        quantised = self.node("QuantizeLinear", [scaled, "one", "zero_point"], f"{name}.quantised")
        product = self.node(
            "MatMulIntegerToFloat",
            [quantised, self.constant(f"{name}.weight", levels), "one",
             self.constant(f"{name}.scale", scale.astype(np.float32)), "zero_point"],
            f"{name}.product", domain=MS,
        )
        return self.node("Mul", [product, step], name)


def build(weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The encoder as a model: `input_ids`, `attention_mask` (B, S) int32 -> `embedding` (B, width) float32, unit length.

    weights: the state dict of a transformers BertModel, float32.
    """
    graph = _Graph()
    graph.constant("zero_point", np.array(128, np.uint8))
    graph.constant("one", np.array(1, np.float32))
    graph.constant("tiny", np.array(1e-6, np.float32))
    graph.constant("per_level", np.array(1 / ACTIVATION_LEVELS, np.float32))
    graph.constant("last_axis", np.array([-1], np.int64))
    width = weights["embeddings.LayerNorm.weight"].shape[0]
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))

    tables = ["word_embeddings", "position_embeddings", "token_type_embeddings"]
    names = [graph.constant(f"embeddings.{table}", weights[f"embeddings.{table}.weight"]) for table in tables]
    names += [graph.constant(f"embeddings.{part}", weights[f"embeddings.LayerNorm.{part}"]) for part in ("weight", "bias")]
    segments = graph.node("Sub", ["input_ids", "input_ids"], "segment_ids")  # all zero: one segment
    hidden = graph.node(
        "EmbedLayerNormalization", ["input_ids", segments, *names], "embed", ["embed", "embed.unused"], domain=MS, epsilon=EPSILON
    )
    graph.constant("thirds", np.array([width] * 3, np.int64))
    for layer in range(layers):
        hidden = _layer(graph, weights, hidden, f"encoder.layer.{layer}")

    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, "last_axis"], "mask.column")  # (B, S, 1)
    masked = graph.node("Mul", [hidden, mask], "masked")
    # the mean's divisor would cancel in the norm, so the sum is enough
    pooled = graph.node("ReduceSum", [masked, graph.constant("tokens", np.array([1], np.int64))], "pooled", keepdims=0)
    graph.node("LpNormalization", [pooled], "embedding", axis=-1, p=2)

    ids = [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "tokens"]) for name in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])
    return helper.make_model(
        helper.make_graph(graph.nodes, "encoder", ids, [output], list(graph.constants.values())),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(MS, 1)], ir_version=8,
    )


def _layer(graph: _Graph, weights: Mapping[str, np.ndarray], x: str, layer: str) -> str:
    """One post-norm transformer layer: x (B, S, width) -> (B, S, width)."""
    parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1)  # (width, 3 width)
    bias = graph.constant(f"{layer}.qkv.bias", np.concatenate([weights[f"{part}.bias"] for part in parts]))
    qkv = graph.node("Add", [graph.linear(x, weight, f"{layer}.qkv"), bias], f"{layer}.qkv.sum")
    graph.node("Split", [qkv, "thirds"], f"{layer}.split", parts, axis=-1)
    attended = graph.node(
        "MultiHeadAttention", [*parts, "", "attention_mask"], f"{layer}.attended", domain=MS, num_heads=HEADS
    )
    x = _project(graph, weights, attended, x, f"{layer}.attention.output")
    inner = graph.linear(x, weights[f"{layer}.intermediate.dense.weight"].T, f"{layer}.intermediate")
    bias = graph.constant(f"{layer}.intermediate.bias", weights[f"{layer}.intermediate.dense.bias"])
    inner = graph.node("BiasGelu", [inner, bias], f"{layer}.gelu", domain=MS)
    return _project(graph, weights, inner, x, f"{layer}.output")


def _project(graph: _Graph, weights: Mapping[str, np.ndarray], x: str, residual: str, name: str) -> str:
    """layer_norm(linear(x) + residual)."""
    projected = graph.linear(x, weights[f"{name}.dense.weight"].T, f"{name}.dense")
    constants = [
        graph.constant(f"{name}.{short}", weights[f"{name}.{full}"])
        for short, full in (("gamma", "LayerNorm.weight"), ("beta", "LayerNorm.bias"), ("bias", "dense.bias"))
    ]
    return graph.node("SkipLayerNormalization", [projected, residual, *constants], f"{name}.norm", domain=MS, epsilon=EPSILON)
