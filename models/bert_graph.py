"""A BERT encoder as an ONNX graph, weights and activations in int8: pooled to an embedding, or under a reader's heads.

Written straight from the weights, so neither torch nor an exporter is needed. The contrib operators are ONNX
Runtime's own fused ones (com.microsoft). Activations are quantised per token row, not per tensor, so that a
result does not depend on what else stands in its batch; weights per output channel, to 7 bits, because AVX2
without VNNI saturates on the eighth. Knows nothing of tokenizers or files. Legend: B texts, S tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        self.constants[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
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


def embedder(weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """`input_ids`, `attention_mask` (B, S) int32 -> `embedding` (B, width) float32, the mean of the states, unit length.

    weights: the state dict of a transformers BertModel, float32.
    """
    graph = _Graph()
    segments = graph.node("Sub", ["input_ids", "input_ids"], "segment_ids")  # all zero: one segment
    hidden, width = _encode(graph, weights, segments)
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, "last_axis"], "mask.column")  # (B, S, 1)
    masked = graph.node("Mul", [hidden, mask], "masked")
    # the mean's divisor would cancel in the norm, so the sum is enough
    pooled = graph.node("ReduceSum", [masked, graph.constant("tokens", np.array([1], np.int64))], "pooled", keepdims=0)
    graph.node("LpNormalization", [pooled], "embedding", axis=-1, p=2)
    return _model(graph, ("input_ids", "attention_mask"), {"embedding": ["batch", width]})


def reader(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """`input_ids`, `token_type_ids`, `attention_mask` (B, S) int32 -> `spans` (B, S, 2), `judged` (B, 2), float32 logits.

    heads: weight and bias of the linear layers `span` (over every state) and `judge` (over the first one).
    """
    graph = _Graph()
    hidden, _ = _encode(graph, weights, "token_type_ids")
    first = graph.node("Gather", [hidden, graph.constant("first", np.array(0, np.int64))], "first_state", axis=1)  # (B, width)
    for name, states, output in (("span", hidden, "spans"), ("judge", first, "judged")):
        product = graph.node("MatMul", [states, graph.constant(f"{name}.weight", heads[f"{name}.weight"].T)], f"{name}.product")
        graph.node("Add", [product, graph.constant(f"{name}.bias", heads[f"{name}.bias"])], output)
    return _model(graph, ("input_ids", "token_type_ids", "attention_mask"), {"spans": ["batch", "tokens", 2], "judged": ["batch", 2]})


def _encode(graph: _Graph, weights: Mapping[str, np.ndarray], segments: str) -> tuple[str, int]:
    """The last states (B, S, width) of `input_ids`, and the width."""
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
    hidden = graph.node(
        "EmbedLayerNormalization", ["input_ids", segments, *names], "embed", ["embed", "embed.unused"], domain=MS, epsilon=EPSILON
    )
    graph.constant("thirds", np.array([width] * 3, np.int64))
    for layer in range(layers):
        hidden = _layer(graph, weights, hidden, f"encoder.layer.{layer}")
    return hidden, width


def _model(graph: _Graph, inputs: Sequence[str], outputs: Mapping[str, Sequence[str | int]]) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            graph.nodes, "encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "tokens"]) for name in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()],
            list(graph.constants.values()),
        ),
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
