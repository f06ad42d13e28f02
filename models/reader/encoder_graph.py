"""The memory encoder as ONNX graphs with int8 weights and activations, cut in two, with the reader's heads on top.

`lower` encodes texts without a question, so that its states can be cached; `upper` reads question and block together.
Knows nothing of tokenizers or files. Shapes: B texts, S tokens.
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

STATES = TensorProto.FLOAT16, ("batch", "tokens", "width")
INPUTS = ("input_ids", "token_type_ids", "attention_mask", "position_ids", "rows", "columns")


def lower(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], layers: int) -> onnx.ModelProto:
    """INPUTS (B, S) and `sides` (B, S, 4), int32, and `patches` (M, P) float32 -> `states` (B, S, width) float16.

    The first `layers` layers over texts alone, see models.network.memory_encoder. heads: `grid.*`, `patches.*` as there; sides: rows of `grid.sides`; patches: what stands where
    `input_ids` are PATCH, in order. Half precision is
    what is kept of a block.
    """
    graph = Graph()
    hidden = _embed(graph, weights, heads)
    for layer in range(layers):
        hidden = transformer_layer(graph, weights, hidden, f"encoder.layer.{layer}")
    graph.node("Cast", [hidden], "states", to=TensorProto.FLOAT16)
    sides = TensorProto.INT32, ("batch", "tokens", 4)
    patches = TensorProto.FLOAT, ("patches", heads["patches.weight"].shape[1])
    return graph.model({**dict.fromkeys(INPUTS, TOKENS), "sides": sides, "patches": patches}, {"states": STATES})


def upper(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], cached: int, kind: BlockModality) -> onnx.ModelProto:
    """`states` (B, S, width) float16 and `attention_mask` (B, S) int32 -> `spans` (B, S, 2), `judged` (B, 2), float32 logits, `memory` (B, S, width)
    float16, the states that a decoder reads, and `through.I` (B, S) int32 of each layer I with a router: 1 where a token went through its feed-forward network.

    The layers that `lower` leaves, over question and block at once. heads: weight and bias of the linear layers `span` (over every state) and `judge`
    (over the first one), `experts.*` of models.network.memory_encoder.
    """
    graph, through = Graph(), {}
    hidden = graph.node("Cast", ["states"], "states.float", to=TensorProto.FLOAT)
    for layer in range(cached, layer_count(weights)):
        name, number = f"encoder.layer.{layer}", layer - cached
        router = {part: heads[f"routers.{number}.{part}"] for part in ("weight", "bias") if f"routers.{number}.{part}" in heads}
        prefix = [heads[f"prefix.{part}"][number] for part in ("keys", "values")] if "prefix.keys" in heads else []
        hidden = transformer_layer(graph, with_expert(weights, heads, name, number, kind), hidden, name, router, prefix)
        if router:
            graph.node("Cast", [f"{name}.through"], f"through.{number}", to=TensorProto.INT32)
            through[f"through.{number}"] = TOKENS
    _head(graph, heads, "span", hidden, "spans")
    _head(graph, heads, "judge", graph.node("Gather", [hidden, graph.constant("first", np.array(0, np.int64))], "first_state", axis=1), "judged")
    graph.node("Cast", [hidden], "memory", to=TensorProto.FLOAT16)
    outputs = {"spans": (TensorProto.FLOAT, ["batch", "tokens", 2]), "judged": (TensorProto.FLOAT, ["batch", 2]), "memory": STATES}
    return graph.model({"attention_mask": TOKENS, "states": STATES}, outputs | through)


def with_expert(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], layer: str, number: int, kind: BlockModality) -> Mapping[str, np.ndarray]:
    """A layer's weights with the channels of its expert for this kind beside its own: what models.network.experts adds up, in one network."""
    if kind is BlockModality.TEXT:
        return weights
    down, bias, up = (heads[f"experts.{number}.{part}"][kind - 1] for part in ("down", "bias", "up"))
    inner, outer = f"{layer}.intermediate.dense", f"{layer}.output.dense.weight"
    return {
        **weights, f"{inner}.weight": np.concatenate([weights[f"{inner}.weight"], down.T]),
        f"{inner}.bias": np.concatenate([weights[f"{inner}.bias"], bias]), outer: np.concatenate([weights[outer], up.T], 1),
    }


def _head(graph: Graph, heads: Mapping[str, np.ndarray], name: str, states: str, output: str) -> None:
    product = graph.node("MatMul", [states, graph.constant(f"{name}.weight", heads[f"{name}.weight"].T)], f"{name}.product")
    graph.node("Add", [product, graph.constant(f"{name}.bias", heads[f"{name}.bias"])], output)


def _embed(graph: Graph, weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray]) -> str:
    """Words with what models.network.memory_encoder.GridEmbeddings adds to them, positions and segments, normalised: (B, S, width)."""

    def look_up(name: str, table: np.ndarray, places: str) -> str:
        return graph.node("Gather", [graph.constant(f"{name}.table", table), places], name)

    def part(condition: str, name: str) -> str:
        """The columns as one-hot rows (B, S, columns), 0 in what does not fulfil the condition and outside of columns."""
        kept = graph.node("And", [condition, graph.node("Greater", ["columns", "zero"], f"{name}.inside")], f"{name}.kept")
        mask = graph.node("Unsqueeze", [graph.node("Cast", [kept], f"{name}.float", to=TensorProto.FLOAT), "last_axis"], f"{name}.mask")
        return graph.node("Mul", ["columns.hot", mask], name)

    graph.constant("zero", np.array(0, np.int32))
    header_row = graph.constant("header_row", np.array(HEADER, np.int32))
    words = look_up("texts", weights["embeddings.word_embeddings.weight"], "input_ids")
    seen = graph.node("MatMul", ["patches", graph.constant("patches.weight", heads["patches.weight"].T)], "patches.product")
    seen = graph.node("Add", [seen, graph.constant("patches.bias", heads["patches.bias"])], "patches.seen")  # (M, width)
    where = graph.node("NonZero", [graph.node("Equal", ["input_ids", graph.constant("patch", np.array(PATCH, np.int32))], "patches.there")], "patches.found")
    words = graph.node("ScatterND", [words, graph.node("Transpose", [where], "patches.places", perm=[1, 0]), seen], "words")
    look_up("columns.hot", np.eye(len(heads["grid.columns.weight"]), dtype=np.float32), "columns")
    heading = part(graph.node("Equal", ["rows", header_row], "is_header"), "heading")
    below = part(graph.node("Greater", ["rows", header_row], "is_below"), "below")
    sums = graph.node("MatMul", [graph.node("Transpose", [heading], "heading.T", perm=[0, 2, 1]), words], "heading.sums")  # (B, columns, width)
    counts = graph.node("ReduceSum", [heading, graph.constant("second_axis", np.array([1], np.int64))], "heading.counts", keepdims=0)
    counts = graph.node("Unsqueeze", [graph.node("Max", [counts, "one"], "heading.some"), "last_axis"], "heading.divisors")
    means = graph.node("Div", [sums, counts], "heading.means")
    means = graph.node("MatMul", [means, graph.constant("grid.header.weight", heads["grid.header.weight"].T)], "heading.projected")
    added = [
        graph.node("MatMul", [below, means], "header"), look_up("row", heads["grid.rows.weight"], "rows"),
        look_up("column", heads["grid.columns.weight"], "columns"), look_up("position", weights["embeddings.position_embeddings.weight"], "position_ids"),
        look_up("segment", weights["embeddings.token_type_embeddings.weight"], "token_type_ids"),
        graph.node("ReduceSum", [look_up("side", heads["grid.sides.weight"], "sides"), graph.constant("sides.axis", np.array([2], np.int64))], "box", keepdims=0),
    ]
    total = graph.node("Sum", [words, *added], "embed.sum")
    norm = [graph.constant(f"embeddings.{part}", weights[f"embeddings.LayerNorm.{part}"]) for part in ("weight", "bias")]
    return graph.node("LayerNormalization", [total, *norm], "embed", axis=-1, epsilon=EPSILON)
