"""The memory encoder as ONNX graphs with int8 weights and activations, cut in two, with the reader's heads on top.

`lower` encodes texts without a question, so that its states can be cached; `upper` reads question and block together.
The encoder exists twice: in torch (models.network.memory_encoder, models.network.experts) it can be trained; here it
answers without torch. Both have the same state dict; tests/models/reader/test_shipped_weights.py holds them equal.
Knows no tokenizer and no files. Shapes: B texts of one length, S tokens, M patches of all texts, P width of a patch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from models.common.bert_graph import EPSILON, TOKENS, layer_count, transformer_layer
from models.common.onnx_graph import Graph
from models.reader.coordinates import HEADER, BlockModality
from models.reader.sequences import PATCH

FLOAT = TensorProto.FLOAT
STATES = TensorProto.FLOAT16, ("batch", "tokens", "width")
INPUTS = ("input_ids", "token_type_ids", "position_ids", "rows", "columns")


def lower(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], layers: int) -> onnx.ModelProto:
    """The first `layers` layers over texts alone, see models.network.memory_encoder.

    INPUTS (B, S) and `sides` (B, S, 4), int32, and `patches` (M, P) float32 -> `states` (B, S, width) float16, the
    precision in which they are cached. heads: `grid.*`, `patches.*` as there; sides: rows of `grid.sides`; patches: the
    features in the places where `input_ids` are PATCH, in order.
    """
    graph = Graph()
    hidden = _embed(graph, weights, heads)
    for layer in range(layers):
        hidden = transformer_layer(graph, weights, hidden, f"encoder.layer.{layer}")
    graph.node("Cast", [hidden], "states", to=TensorProto.FLOAT16)
    sides = TensorProto.INT32, ("batch", "tokens", 4)
    patches = TensorProto.FLOAT, ("patches", heads["patches.weight"].shape[1])
    return graph.model({**dict.fromkeys(INPUTS, TOKENS), "sides": sides, "patches": patches}, {"states": STATES})


def upper(
    weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], cached: int, modality: BlockModality
) -> onnx.ModelProto:
    """The layers after the first `cached` ones, over question and block at once.

    `states` (B, S, width) float16 ->

        spans, judged   (B, S, 2), (B, 2) float32 logits
        memory          (B, S, width) float16, the states that a decoder reads
        through.I       (B, S) int32 of layer I with a router: 1 for tokens that went through its feed-forward network

    heads: weight and bias of the linear layers `span` (over every state) and `judge` (over the first one), `experts.*`
    of models.network.memory_encoder, and `routers.*` and `prefix.*` where it has them.
    """
    graph, through = Graph(), {}
    hidden = graph.node("Cast", ["states"], "states.float", to=TensorProto.FLOAT)
    for layer in range(cached, layer_count(weights)):
        name, number = f"encoder.layer.{layer}", layer - cached
        routed, prefixed = f"routers.{number}.weight" in heads, "prefix.keys" in heads
        router = {part: heads[f"routers.{number}.{part}"] for part in ("weight", "bias")} if routed else None
        prefix = [heads[f"prefix.{part}"][number] for part in ("keys", "values")] if prefixed else []
        own = with_expert(weights, heads, name, number, modality)
        hidden = transformer_layer(graph, own, hidden, name, router, prefix)
        if router:
            graph.node("Cast", [f"{name}.through"], f"through.{number}", to=TensorProto.INT32)
            through[f"through.{number}"] = TOKENS
    first = graph.node("Gather", [hidden, graph.constant("first", np.array(0, np.int64))], "first_state", axis=1)
    _head(graph, heads, "span", hidden, "spans")
    _head(graph, heads, "judge", first, "judged")
    graph.node("Cast", [hidden], "memory", to=TensorProto.FLOAT16)
    spans, judged = (TensorProto.FLOAT, ["batch", "tokens", 2]), (TensorProto.FLOAT, ["batch", 2])
    outputs = {"spans": spans, "judged": judged, "memory": STATES}
    return graph.model({"states": STATES}, outputs | through)


def with_expert(
    weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], layer: str, number: int, modality: BlockModality
) -> Mapping[str, np.ndarray]:
    """A layer's weights with the channels of its expert for this modality beside its own.

    One wider network computes the sum that models.network.experts computes.
    """
    if modality is BlockModality.TEXT:
        return weights
    down, bias, up = (heads[f"experts.{number}.{part}"][modality - 1] for part in ("down", "bias", "up"))
    inner, outer = f"{layer}.intermediate.dense", f"{layer}.output.dense.weight"
    return {
        **weights,
        f"{inner}.weight": np.concatenate([weights[f"{inner}.weight"], down.T]),
        f"{inner}.bias": np.concatenate([weights[f"{inner}.bias"], bias]),
        outer: np.concatenate([weights[outer], up.T], 1),
    }


def _head(graph: Graph, heads: Mapping[str, np.ndarray], name: str, states: str, output: str) -> None:
    weight = graph.constant(f"{name}.weight", heads[f"{name}.weight"].T)
    product = graph.node("MatMul", [states, weight], f"{name}.product")
    graph.node("Add", [product, graph.constant(f"{name}.bias", heads[f"{name}.bias"])], output)


def _embed(graph: Graph, weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray]) -> str:
    """The sum of words, what GridEmbeddings adds to them, positions and segments, normalised: (B, S, width)."""

    def look_up(name: str, table: np.ndarray, places: str) -> str:
        return graph.node("Gather", [graph.constant(f"{name}.table", table), places], name)

    def embedding(name: str) -> np.ndarray:
        return weights[f"embeddings.{name}.weight"]

    words = _with_patches(graph, look_up("texts", embedding("word_embeddings"), "input_ids"), heads)
    sides = look_up("side", heads["grid.sides.weight"], "sides")  # (B, S, 4, width)
    added = [
        _headers(graph, words, heads),
        look_up("row", heads["grid.rows.weight"], "rows"),
        look_up("column", heads["grid.columns.weight"], "columns"),
        look_up("position", embedding("position_embeddings"), "position_ids"),
        look_up("segment", embedding("token_type_embeddings"), "token_type_ids"),
        graph.node("ReduceSum", [sides, graph.constant("sides.axis", np.array([2], np.int64))], "box", keepdims=0),
    ]
    total = graph.node("Sum", [words, *added], "embed.sum")
    parts = ("weight", "bias")
    norm = [graph.constant(f"embeddings.{part}", weights[f"embeddings.LayerNorm.{part}"]) for part in parts]
    return graph.node("LayerNormalization", [total, *norm], "embed", axis=-1, epsilon=EPSILON)


def _with_patches(graph: Graph, words: str, heads: Mapping[str, np.ndarray]) -> str:
    """Word vectors (B, S, width), with projected patches in the places where `input_ids` are PATCH."""
    weight = graph.constant("patches.weight", heads["patches.weight"].T)
    product = graph.node("MatMul", ["patches", weight], "patches.product")
    projected = graph.node("Add", [product, graph.constant("patches.bias", heads["patches.bias"])], "patches.seen")
    is_patch = graph.node("Equal", ["input_ids", graph.constant("patch", np.array(PATCH, np.int32))], "patches.there")
    found = graph.node("NonZero", [is_patch], "patches.found")
    places = graph.node("Transpose", [found], "patches.places", perm=[1, 0])
    return graph.node("ScatterND", [words, places, projected], "words")


def _headers(graph: Graph, words: str, heads: Mapping[str, np.ndarray]) -> str:
    """For each token of a table below its header: the projected mean word vector of its column's header, else 0."""
    graph.constant("zero", np.array(0, np.int32))
    header_row = graph.constant("header_row", np.array(HEADER, np.int32))
    hot = graph.constant("columns.hot.table", np.eye(len(heads["grid.columns.weight"]), dtype=np.float32))
    graph.node("Gather", [hot, "columns"], "columns.hot")

    def where(condition: str, name: str) -> str:
        """The columns as one-hot rows (B, S, columns): 0 where the condition is false, and outside of columns."""
        inside = graph.node("Greater", ["columns", "zero"], f"{name}.inside")
        both = graph.node("Cast", [graph.node("And", [condition, inside], f"{name}.both")], f"{name}.float", to=FLOAT)
        return graph.node("Mul", ["columns.hot", graph.node("Unsqueeze", [both, "last_axis"], f"{name}.mask")], name)

    heading = where(graph.node("Equal", ["rows", header_row], "is_header"), "heading")
    below = where(graph.node("Greater", ["rows", header_row], "is_below"), "below")
    turned = graph.node("Transpose", [heading], "heading.T", perm=[0, 2, 1])
    sums = graph.node("MatMul", [turned, words], "heading.sums")  # (B, columns, width)
    second = graph.constant("second_axis", np.array([1], np.int64))
    counts = graph.node("ReduceSum", [heading, second], "heading.counts", keepdims=0)
    counts = graph.node("Max", [counts, "one"], "heading.some")
    counts = graph.node("Unsqueeze", [counts, "last_axis"], "heading.divisors")
    means = graph.node("Div", [sums, counts], "heading.means")
    projection = graph.constant("grid.header.weight", heads["grid.header.weight"].T)
    return graph.node("MatMul", [below, graph.node("MatMul", [means, projection], "heading.projected")], "header")
