"""A BERT encoder as an ONNX graph, weights and activations in int8: pooled to an embedding, or cut in two and under a reader's heads.

Knows nothing of tokenizers or files. Legend: B texts, S tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from models.graph import MS, Graph
from models.grid import HEADER, Kind
from models.layout import PATCH

HEADS = 12
EPSILON = 1e-12  # of BERT's layer norms
TOKENS = TensorProto.INT32, ("batch", "tokens")
STATES = TensorProto.FLOAT16, ("batch", "tokens", "width")
INPUTS = ("input_ids", "token_type_ids", "attention_mask", "position_ids", "rows", "columns")


def embedder(weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """`input_ids`, `attention_mask` (B, S) int32 -> `embedding` (B, width) float32, the mean of the states, unit length.

    weights: the state dict of a transformers BertModel, float32.
    """
    graph = Graph()
    width = weights["embeddings.LayerNorm.weight"].shape[0]
    segments = graph.node("Sub", ["input_ids", "input_ids"], "segment_ids")  # all zero: one segment
    tables = ["word_embeddings", "position_embeddings", "token_type_embeddings"]
    names = [graph.constant(f"embeddings.{table}", weights[f"embeddings.{table}.weight"]) for table in tables]
    names += [graph.constant(f"embeddings.{part}", weights[f"embeddings.LayerNorm.{part}"]) for part in ("weight", "bias")]
    hidden = graph.node(
        "EmbedLayerNormalization", ["input_ids", segments, *names], "embed", ["embed", "embed.unused"], domain=MS, epsilon=EPSILON
    )
    for layer in range(_layers(weights)):
        hidden = _layer(graph, weights, hidden, f"encoder.layer.{layer}")
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, "last_axis"], "mask.column")  # (B, S, 1)
    masked = graph.node("Mul", [hidden, mask], "masked")
    # the mean's divisor would cancel in the norm, so the sum is enough
    pooled = graph.node("ReduceSum", [masked, graph.constant("tokens", np.array([1], np.int64))], "pooled", keepdims=0)
    graph.node("LpNormalization", [pooled], "embedding", axis=-1, p=2)
    inputs = dict.fromkeys(("input_ids", "attention_mask"), TOKENS)
    return graph.model(inputs, {"embedding": (TensorProto.FLOAT, ["batch", width])})


def lower(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], layers: int) -> onnx.ModelProto:
    """INPUTS (B, S) and `sides` (B, S, 4), int32, and `patches` (M, P) float32 -> `states` (B, S, width) float16.

    The first `layers` layers over texts alone, see models.memory. heads: `grid.*`, `patches.*` as there; sides: rows of `grid.sides`; patches: what stands where
    `input_ids` are PATCH, in order. Half precision is
    what is kept of a block.
    """
    graph = Graph()
    hidden = _embed(graph, weights, heads)
    for layer in range(layers):
        hidden = _layer(graph, weights, hidden, f"encoder.layer.{layer}")
    graph.node("Cast", [hidden], "states", to=TensorProto.FLOAT16)
    sides = TensorProto.INT32, ("batch", "tokens", 4)
    patches = TensorProto.FLOAT, ("patches", heads["patches.weight"].shape[1])
    return graph.model({**dict.fromkeys(INPUTS, TOKENS), "sides": sides, "patches": patches}, {"states": STATES})


def upper(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], cached: int, kind: Kind) -> onnx.ModelProto:
    """`states` (B, S, width) float16 and `attention_mask` (B, S) int32 -> `spans` (B, S, 2), `judged` (B, 2), float32 logits, `memory` (B, S, width)
    float16, the states that a decoder reads, and `through.I` (B, S) int32 of each layer I with a router: 1 where a token went through its feed-forward network.

    The layers that `lower` leaves, over question and block at once. heads: weight and bias of the linear layers `span` (over every state) and `judge`
    (over the first one), `experts.*` of models.memory.
    """
    graph, through = Graph(), {}
    hidden = graph.node("Cast", ["states"], "states.float", to=TensorProto.FLOAT)
    for layer in range(cached, _layers(weights)):
        name, number = f"encoder.layer.{layer}", layer - cached
        router = {part: heads[f"routers.{number}.{part}"] for part in ("weight", "bias") if f"routers.{number}.{part}" in heads}
        prefix = [heads[f"prefix.{part}"][number] for part in ("keys", "values")] if "prefix.keys" in heads else []
        hidden = _layer(graph, with_expert(weights, heads, name, number, kind), hidden, name, router, prefix)
        if router:
            graph.node("Cast", [f"{name}.through"], f"through.{number}", to=TensorProto.INT32)
            through[f"through.{number}"] = TOKENS
    _head(graph, heads, "span", hidden, "spans")
    _head(graph, heads, "judge", graph.node("Gather", [hidden, graph.constant("first", np.array(0, np.int64))], "first_state", axis=1), "judged")
    graph.node("Cast", [hidden], "memory", to=TensorProto.FLOAT16)
    outputs = {"spans": (TensorProto.FLOAT, ["batch", "tokens", 2]), "judged": (TensorProto.FLOAT, ["batch", 2]), "memory": STATES}
    return graph.model({"attention_mask": TOKENS, "states": STATES}, outputs | through)


def with_expert(weights: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray], layer: str, number: int, kind: Kind) -> Mapping[str, np.ndarray]:
    """A layer's weights with the channels of its expert for this kind beside its own: what models.experts adds up, in one network."""
    if kind is Kind.TEXT:
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
    """Words with what models.memory.GridEmbeddings adds to them, positions and segments, normalised: (B, S, width)."""

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


def _layers(weights: Mapping[str, np.ndarray]) -> int:
    return 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))


def _layer(graph: Graph, weights: Mapping[str, np.ndarray], x: str, layer: str, router: Mapping[str, np.ndarray] | None = None, prefix: Sequence[np.ndarray] = ()) -> str:
    """One post-norm transformer layer: x (B, S, width) -> (B, S, width). router: weight (width,) and bias () of a models.experts.TokenRouter; prefix: keys
    and values (P, width) of a models.prompts.Prefix.
    """
    parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([weights[f"{part}.weight"].T for part in parts], axis=1)  # (width, 3 width)
    shift = graph.constant(f"{layer}.qkv.bias", np.concatenate([weights[f"{part}.bias"] for part in parts]))
    qkv = graph.node("Add", [graph.linear(x, weight, f"{layer}.qkv"), shift], f"{layer}.qkv.sum")
    graph.node("Split", [qkv], f"{layer}.split", parts, axis=-1, num_outputs=3)
    query, *rest = [*parts, "attention_mask"]
    if prefix:
        rest = [_in_front(graph, one, values, f"{layer}.prefix.{at}") for at, (one, values) in enumerate(zip(rest, (*prefix, np.ones(len(prefix[0]), np.int32)), strict=True))]
    attended = graph.node("MultiHeadAttention", [query, *rest[:2], "", rest[2]], f"{layer}.attended", domain=MS, num_heads=HEADS)
    x = _project(graph, weights, attended, x, f"{layer}.attention.output")
    if router:
        return _routed(graph, weights, x, layer, router)
    return _project(graph, weights, _inner(graph, weights, x, layer), x, f"{layer}.output")


def _in_front(graph: Graph, x: str, values: np.ndarray, name: str) -> str:
    """values (P, ...) in front of each row of x (B, S, ...): (B, P + S, ...)."""
    batch = graph.node("Shape", [x], f"{name}.batch", start=0, end=1)
    shape = graph.node("Concat", [batch, graph.constant(f"{name}.ones", np.ones(values.ndim, np.int64))], f"{name}.shape", axis=0)
    each = graph.node("Expand", [graph.constant(f"{name}.values", values[None]), shape], f"{name}.each")
    return graph.node("Concat", [each, x], name, axis=1)


def _routed(graph: Graph, weights: Mapping[str, np.ndarray], x: str, layer: str, router: Mapping[str, np.ndarray]) -> str:
    """The feed-forward network of the tokens that go through it; the others get nothing added. `{layer}.through` (B, S) tells which ones do."""
    score = graph.node("MatMul", [x, graph.constant(f"{layer}.router.weight", router["weight"][:, None])], f"{layer}.router.product")
    score = graph.node("Squeeze", [score, "last_axis"], f"{layer}.router.score")  # (B, S)
    chosen = graph.node("Greater", [score, graph.constant(f"{layer}.router.least", -router["bias"])], f"{layer}.router.chosen")
    there = graph.node("Cast", ["attention_mask"], f"{layer}.router.there", to=TensorProto.BOOL)
    through = graph.node("And", [chosen, there], f"{layer}.through")
    places = graph.node("Transpose", [graph.node("NonZero", [through], f"{layer}.router.found")], f"{layer}.router.places", perm=[1, 0])  # (tokens, 2)
    taken = graph.node("GatherND", [x, places], f"{layer}.router.taken")  # (tokens, width)
    made = graph.linear(_inner(graph, weights, taken, layer), weights[f"{layer}.output.dense.weight"].T, f"{layer}.output.dense")
    made = graph.node("Add", [made, graph.constant(f"{layer}.output.bias", weights[f"{layer}.output.dense.bias"])], f"{layer}.output.sum")
    nothing = graph.node("Sub", [x, x], f"{layer}.router.nothing")
    spread = graph.node("ScatterND", [nothing, places, made], f"{layer}.output.spread")
    return _add_norm(graph, weights, spread, x, f"{layer}.output")


def _inner(graph: Graph, weights: Mapping[str, np.ndarray], x: str, layer: str) -> str:
    inner = graph.linear(x, weights[f"{layer}.intermediate.dense.weight"].T, f"{layer}.intermediate")
    shift = graph.constant(f"{layer}.intermediate.bias", weights[f"{layer}.intermediate.dense.bias"])
    return graph.node("BiasGelu", [inner, shift], f"{layer}.gelu", domain=MS)


def _project(graph: Graph, weights: Mapping[str, np.ndarray], x: str, residual: str, name: str) -> str:
    """layer_norm(linear(x) + residual)."""
    projected = graph.linear(x, weights[f"{name}.dense.weight"].T, f"{name}.dense")
    return _add_norm(graph, weights, projected, residual, name, graph.constant(f"{name}.bias", weights[f"{name}.dense.bias"]))


def _add_norm(graph: Graph, weights: Mapping[str, np.ndarray], x: str, residual: str, name: str, *bias: str) -> str:
    norm = [graph.constant(f"{name}.{short}", weights[f"{name}.LayerNorm.{part}"]) for short, part in (("gamma", "weight"), ("beta", "bias"))]
    return graph.node("SkipLayerNormalization", [x, residual, *norm, *bias], f"{name}.norm", domain=MS, epsilon=EPSILON)
