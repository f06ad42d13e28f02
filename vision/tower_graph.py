"""The image tower as an ONNX graph in float32: what torch computes, without torch. Legend: B pictures, T patches and the class token."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from models.common.onnx_graph import MS, Graph
from vision.tower_input import TowerConfig

EPSILON = 1e-5  # of all its norms
STEM = (0, 3, 6, 9)  # convolutions of vision.training.tower.stem, each before a norm over its batch; then one more


def tower(weights: Mapping[str, np.ndarray], config: TowerConfig) -> onnx.ModelProto:
    """`pixels` (B, 3, size, size) as vision.tower_input.pixels makes them -> `embedding` (B, output), unit length, and `patches`
    (B, size / patch squared, output), row by row, whose mean it is but for its length. weights: as vision.training.tower saves them."""
    graph, weights = Graph(), {name: value.astype(np.float32) for name, value in weights.items()}
    hidden = _patches(graph, weights)
    shape = graph.constant("tokens.shape", np.array([0, config.width, -1], np.int64))
    hidden = graph.node("Transpose", [graph.node("Reshape", [hidden, shape], "flat")], "squares", perm=[0, 2, 1])
    hidden = graph.node("Add", [hidden, graph.constant("places", weights["positional_embedding"][1:])], "placed")
    first = graph.constant("class", (weights["class_embedding"] + weights["positional_embedding"][0])[None, None])
    many = graph.node("Shape", ["pixels"], "batch", start=0, end=1)
    many = graph.node("Concat", [many, graph.constant("one.token", np.array([1, config.width], np.int64))], "class.shape", axis=0)
    hidden = graph.node("Concat", [graph.node("Expand", [first, many], "class.each"), hidden], "tokens", axis=1)
    hidden = _norm(graph, weights, hidden, "ln_pre")
    for number in range(config.layers):
        hidden = _layer(graph, weights, hidden, f"transformer.resblocks.{number}", config.heads)
    hidden = _norm(graph, weights, hidden, "ln_post")
    ends = [graph.constant(f"from.{name}", np.array([value], np.int64)) for name, value in (("start", 1), ("end", 1 << 30), ("axis", 1))]
    seen = graph.node("MatMul", [graph.node("Slice", [hidden, *ends], "without_class"), graph.constant("proj", weights["proj"])], "patches")
    graph.node("LpNormalization", [graph.node("ReduceMean", [seen, ends[2]], "pooled", keepdims=0)], "embedding", axis=-1, p=2)
    pixels = TensorProto.FLOAT, ("batch", 3, config.size, config.size)
    return graph.model({"pixels": pixels}, {name: (TensorProto.FLOAT, ("batch", *shape, config.output)) for name, shape in (("embedding", ()), ("patches", ((config.size // config.patch) ** 2,)))})


def _patches(graph: Graph, weights: Mapping[str, np.ndarray]) -> str:
    """The stem; a norm over the batch is a part of the convolution before it, once it is trained."""
    hidden = "pixels"
    for at in STEM:
        norm = f"conv1.{at + 1}"
        scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
        kernel = graph.constant(f"conv1.{at}", weights[f"conv1.{at}.weight"] * scale[:, None, None, None])
        bias = graph.constant(f"conv1.{at}.bias", weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)
        hidden = graph.node("Conv", [hidden, kernel, bias], f"conv1.{at}.out", strides=[2, 2], pads=[1, 1, 1, 1])
        hidden = graph.node("Gelu", [hidden], f"conv1.{at}.gelu", domain=MS)
    last = [graph.constant(f"conv1.12.{part}", weights[f"conv1.12.{part}"]) for part in ("weight", "bias")]
    return graph.node("Conv", [hidden, *last], "conv1.12.out")


def _layer(graph: Graph, weights: Mapping[str, np.ndarray], hidden: str, name: str, heads: int) -> str:
    normed = _norm(graph, weights, hidden, f"{name}.ln_1")
    parts = np.split(weights[f"{name}.attn.in_proj_weight"], 3)
    queries = [graph.node("MatMul", [normed, graph.constant(f"{name}.{part}", weight.T)], f"{name}.{part}.out") for part, weight in zip("qkv", parts, strict=True)]
    bias = graph.constant(f"{name}.bias", weights[f"{name}.attn.in_proj_bias"])
    attended = graph.node("MultiHeadAttention", [*queries, bias], f"{name}.attended", domain=MS, num_heads=heads)
    hidden = graph.node("Add", [hidden, _linear(graph, weights, attended, f"{name}.attn.out_proj")], f"{name}.middle")
    inner = graph.node("Gelu", [_linear(graph, weights, _norm(graph, weights, hidden, f"{name}.ln_2"), f"{name}.mlp.c_fc")], f"{name}.gelu", domain=MS)
    return graph.node("Add", [hidden, _linear(graph, weights, inner, f"{name}.mlp.c_proj")], f"{name}.out")


def _linear(graph: Graph, weights: Mapping[str, np.ndarray], x: str, name: str) -> str:
    product = graph.node("MatMul", [x, graph.constant(f"{name}.weight", weights[f"{name}.weight"].T)], f"{name}.product")
    return graph.node("Add", [product, graph.constant(f"{name}.bias", weights[f"{name}.bias"])], name)


def _norm(graph: Graph, weights: Mapping[str, np.ndarray], x: str, name: str) -> str:
    parts = [graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]
    return graph.node("LayerNormalization", [x, *parts], name, epsilon=EPSILON, axis=-1)
