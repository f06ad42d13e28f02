"""A BERT encoder as an ONNX graph with int8 weights and activations, pooled to one embedding per text.

Knows nothing of tokenizers or files. Shapes: B texts, S tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from models.common.onnx_graph import MS, Graph

HEADS = 12
EPSILON = 1e-12  # of BERT's layer norms
TOKENS = TensorProto.INT32, ("batch", "tokens")


def embedder(weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """`input_ids` (B, S) int32 of texts of one length -> `embedding` (B, width) float32, the mean state, unit length.

    weights: the state dict of a transformers BertModel, float32.
    """
    graph = Graph()
    width = weights["embeddings.LayerNorm.weight"].shape[0]
    segments = graph.node("Sub", ["input_ids", "input_ids"], "segment_ids")  # all zero: one segment
    tables = ["word_embeddings", "position_embeddings", "token_type_embeddings"]
    names = [graph.constant(f"embeddings.{table}", weights[f"embeddings.{table}.weight"]) for table in tables]
    for part in ("weight", "bias"):
        names.append(graph.constant(f"embeddings.{part}", weights[f"embeddings.LayerNorm.{part}"]))
    hidden = graph.node(
        "EmbedLayerNormalization", ["input_ids", segments, *names], "embed", ["embed", "embed.unused"],
        domain=MS, epsilon=EPSILON,
    )  # fmt: skip
    for layer in range(layer_count(weights)):
        hidden = transformer_layer(graph, weights, hidden, f"encoder.layer.{layer}")
    # the mean's divisor would cancel in the norm, so the sum is enough
    pooled = graph.node("ReduceSum", [hidden, graph.constant("tokens", np.array([1], np.int64))], "pooled", keepdims=0)
    graph.node("LpNormalization", [pooled], "embedding", axis=-1, p=2)
    return graph.model({"input_ids": TOKENS}, {"embedding": (TensorProto.FLOAT, ["batch", width])})


def layer_count(weights: Mapping[str, np.ndarray]) -> int:
    return 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))


def transformer_layer(
    graph: Graph, weights: Mapping[str, np.ndarray], x: str, layer: str,
    router: Mapping[str, np.ndarray] | None = None, prefix: Sequence[np.ndarray] = (),
) -> str:  # fmt: skip
    """One post-norm transformer layer: x (B, S, width) -> (B, S, width). No token is padding.

    router: weight (width,) and bias () of a router of tokens. prefix: keys and values (P, width) before those of x
    (prefix tuning, arXiv 2101.00190).
    """
    parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1)  # (width, 3 width)
    shift = graph.constant(f"{layer}.qkv.bias", np.concatenate([weights[f"{part}.bias"] for part in parts]))
    qkv = graph.node("Add", [graph.linear(x, weight, f"{layer}.qkv"), shift], f"{layer}.qkv.sum")
    graph.node("Split", [qkv], f"{layer}.split", parts, axis=-1, num_outputs=3)
    query, *rest = parts
    if prefix:
        pairs = enumerate(zip(rest, prefix, strict=True))
        rest = [_in_front(graph, one, values, f"{layer}.prefix.{at}") for at, (one, values) in pairs]
    # without a mask: only then ONNX Runtime takes its fast kernel
    attended = graph.node("MultiHeadAttention", [query, *rest], f"{layer}.attended", domain=MS, num_heads=HEADS)
    x = _project(graph, weights, attended, x, f"{layer}.attention.output")
    if router:
        return _routed(graph, weights, x, layer, router)
    return _project(graph, weights, _inner(graph, weights, x, layer), x, f"{layer}.output")


def _in_front(graph: Graph, x: str, values: np.ndarray, name: str) -> str:
    """values (P, ...) in front of each row of x (B, S, ...): (B, P + S, ...)."""
    batch = graph.node("Shape", [x], f"{name}.batch", start=0, end=1)
    ones = graph.constant(f"{name}.ones", np.ones(values.ndim, np.int64))
    shape = graph.node("Concat", [batch, ones], f"{name}.shape", axis=0)
    each = graph.node("Expand", [graph.constant(f"{name}.values", values[None]), shape], f"{name}.each")
    return graph.node("Concat", [each, x], name, axis=1)


def _routed(
    graph: Graph, weights: Mapping[str, np.ndarray], x: str, layer: str, router: Mapping[str, np.ndarray]
) -> str:
    """The feed-forward network of the tokens that are routed through it; the others get nothing added.

    Adds `{layer}.through` (B, S): which tokens are.
    """
    name = f"{layer}.router"
    score = graph.node("MatMul", [x, graph.constant(f"{name}.weight", router["weight"][:, None])], f"{name}.product")
    score = graph.node("Squeeze", [score, "last_axis"], f"{name}.score")  # (B, S)
    through = graph.node("Greater", [score, graph.constant(f"{name}.least", -router["bias"])], f"{layer}.through")
    found = graph.node("NonZero", [through], f"{name}.found")
    places = graph.node("Transpose", [found], f"{name}.places", perm=[1, 0])  # (tokens, 2)
    taken = graph.node("GatherND", [x, places], f"{name}.taken")  # (tokens, width)
    output = f"{layer}.output"
    made = graph.linear(_inner(graph, weights, taken, layer), weights[f"{output}.dense.weight"].T, f"{output}.dense")
    shift = graph.constant(f"{output}.bias", weights[f"{output}.dense.bias"])
    made = graph.node("Add", [made, shift], f"{output}.sum")
    nothing = graph.node("Sub", [x, x], f"{name}.nothing")
    spread = graph.node("ScatterND", [nothing, places, made], f"{output}.spread")
    return _add_norm(graph, weights, spread, x, output)


def _inner(graph: Graph, weights: Mapping[str, np.ndarray], x: str, layer: str) -> str:
    inner = graph.linear(x, weights[f"{layer}.intermediate.dense.weight"].T, f"{layer}.intermediate")
    shift = graph.constant(f"{layer}.intermediate.bias", weights[f"{layer}.intermediate.dense.bias"])
    return graph.node("BiasGelu", [inner, shift], f"{layer}.gelu", domain=MS)


def _project(graph: Graph, weights: Mapping[str, np.ndarray], x: str, residual: str, name: str) -> str:
    """layer_norm(linear(x) + residual)."""
    projected = graph.linear(x, weights[f"{name}.dense.weight"].T, f"{name}.dense")
    shift = graph.constant(f"{name}.bias", weights[f"{name}.dense.bias"])
    return _add_norm(graph, weights, graph.node("Add", [projected, shift], f"{name}.sum"), residual, name)


def _add_norm(graph: Graph, weights: Mapping[str, np.ndarray], x: str, residual: str, name: str) -> str:
    norm = [graph.constant(f"{name}.norm.{part}", weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias")]
    total = graph.node("Add", [x, residual], f"{name}.residual")
    return graph.node("LayerNormalization", [total, *norm], f"{name}.norm", axis=-1, epsilon=EPSILON)
