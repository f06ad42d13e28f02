"""The image tower as an ONNX graph in float32, built from its weights, so that answering needs no torch.

It computes what vision.training.tower does in torch (tests/vision/test_tower.py compares the two); torch's exporter
would need torch to be loaded. Legend: B images, W width of the transformer, T patches and the class token.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from models.common.onnx_graph import MS, Graph
from vision.tower_input import TowerConfig

EPSILON = 1e-5  # torch's default, of the batch norms and the layer norms
STEM = (0, 3, 6, 9)  # strided convolutions of vision.training.tower.stem, each followed by a batch norm; then one 1 x 1


def tower(weights: Mapping[str, np.ndarray], config: TowerConfig) -> onnx.ModelProto:
    """The graph. weights: by name, as vision.training.tower saves them.

    Input: `pixels` (B, 3, size, size) float32, see vision.tower_input.pixels. Outputs: `patches`
    (B, (size / patch) ** 2, output), row by row; `embedding` (B, output), the mean of the patches at unit length.
    """
    graph, weights = Graph(), {name: value.astype(np.float32) for name, value in weights.items()}
    hidden = _patches(graph, weights)
    shape = graph.constant("tokens.shape", np.array([0, config.width, -1], np.int64))
    hidden = graph.node("Reshape", [hidden, shape], "flat")  # (B, W, T - 1)
    hidden = graph.node("Transpose", [hidden], "squares", perm=[0, 2, 1])  # (B, T - 1, W)
    hidden = graph.node("Add", [hidden, graph.constant("places", weights["positional_embedding"][1:])], "placed")
    first = graph.constant("class", (weights["class_embedding"] + weights["positional_embedding"][0])[None, None])
    batch = graph.node("Shape", ["pixels"], "batch", start=0, end=1)
    one_token = graph.constant("one.token", np.array([1, config.width], np.int64))
    shape = graph.node("Concat", [batch, one_token], "class.shape", axis=0)
    first = graph.node("Expand", [first, shape], "class.each")  # (B, 1, W)
    hidden = graph.node("Concat", [first, hidden], "tokens", axis=1)  # (B, T, W)
    hidden = _norm(graph, weights, hidden, "ln_pre")
    for number in range(config.layers):
        hidden = _layer(graph, weights, hidden, f"transformer.resblocks.{number}", config.heads)
    hidden = _norm(graph, weights, hidden, "ln_post")
    _outputs(graph, weights, hidden)
    pixels = TensorProto.FLOAT, ("batch", 3, config.size, config.size)
    embedding = TensorProto.FLOAT, ("batch", config.output)
    patches = TensorProto.FLOAT, ("batch", (config.size // config.patch) ** 2, config.output)
    return graph.model({"pixels": pixels}, {"embedding": embedding, "patches": patches})


def _outputs(graph: Graph, weights: Mapping[str, np.ndarray], hidden: str) -> None:
    """Project the patches' states (B, T, W) to `patches` (B, T - 1, output); pool these to `embedding` (B, output)."""
    bounds = (("start", 1), ("end", 1 << 30), ("axis", 1))  # all but the class token
    start, end, axis = (graph.constant(f"from.{name}", np.array([value], np.int64)) for name, value in bounds)
    states = graph.node("Slice", [hidden, start, end, axis], "without_class")
    patches = graph.node("MatMul", [states, graph.constant("proj", weights["proj"])], "patches")
    pooled = graph.node("ReduceMean", [patches, axis], "pooled", keepdims=0)
    graph.node("LpNormalization", [pooled], "embedding", axis=-1, p=2)


def _patches(graph: Graph, weights: Mapping[str, np.ndarray]) -> str:
    """The stem, (B, 3, size, size) -> (B, W, size / 16, size / 16), batch norms folded into the convolutions."""
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
    """One pre-norm transformer layer, (B, T, W) -> (B, T, W)."""
    normed, inputs = _norm(graph, weights, hidden, f"{name}.ln_1"), []
    for part, weight in zip("qkv", np.split(weights[f"{name}.attn.in_proj_weight"], 3), strict=True):
        projection = graph.constant(f"{name}.{part}", weight.T)
        inputs.append(graph.node("MatMul", [normed, projection], f"{name}.{part}.out"))
    bias = graph.constant(f"{name}.bias", weights[f"{name}.attn.in_proj_bias"])
    attended = graph.node("MultiHeadAttention", [*inputs, bias], f"{name}.attended", domain=MS, num_heads=heads)
    hidden = graph.node("Add", [hidden, _linear(graph, weights, attended, f"{name}.attn.out_proj")], f"{name}.middle")
    inner = _linear(graph, weights, _norm(graph, weights, hidden, f"{name}.ln_2"), f"{name}.mlp.c_fc")
    inner = graph.node("Gelu", [inner], f"{name}.gelu", domain=MS)
    return graph.node("Add", [hidden, _linear(graph, weights, inner, f"{name}.mlp.c_proj")], f"{name}.out")


def _linear(graph: Graph, weights: Mapping[str, np.ndarray], x: str, name: str) -> str:
    weight = graph.constant(f"{name}.weight", weights[f"{name}.weight"].T)
    product = graph.node("MatMul", [x, weight], f"{name}.product")
    return graph.node("Add", [product, graph.constant(f"{name}.bias", weights[f"{name}.bias"])], name)


def _norm(graph: Graph, weights: Mapping[str, np.ndarray], x: str, name: str) -> str:
    parts = [graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]
    return graph.node("LayerNormalization", [x, *parts], name, epsilon=EPSILON, axis=-1)
