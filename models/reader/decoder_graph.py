"""GroundedForCausalLM's decoder as an ONNX graph in int8: log-probabilities of given tokens, read from given memory.

The decoder exists twice: in torch (models.network.grounded, models.network.cross_attention) it can be trained; here it
answers without torch. Both have the same state dict, whose shapes are the only description of the sizes;
tests/models/reader/test_ablation.py holds their log-probabilities equal. Knows no tokenizer and no files.

Legend: R memories that differ in which slots may be read, A tokens, M tokens that are scored, S slots, C width,
G key-value heads, H query heads, D width of a head, P width of the pointer, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from models.common.onnx_graph import Graph
from models.reader.sequences import CLOSED, LEAST

# RMSNorm's and RoPE's values of LlamaConfig, the only ones that models.reader.shipped_weights.save takes; positions
EPSILON, THETA, LONGEST = 1e-6, 10000.0, 512
FLOAT, HALF, INT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32


def decoder(weights: Mapping[str, np.ndarray], words: np.ndarray) -> onnx.ModelProto:
    """-> `chances` (R, M) float32: the log-probability of each label.

    weights: model.*, projector.* and copy.* of a GroundedForCausalLM; words: its word vectors (V, C). Inputs:

        input_ids, positions   (A,) int32
        mask                   (A, A) float32, added to the scores of self-attention
        labels, places         (M,) int32: a label follows the token at its place
        states, ids            (S, C) float16, (S,) int32: memory and its tokens
        before                 (S,) int32: the token in front of each of these, 0 where there is none
        bias                   (R, S) float32: 0, or CLOSED where a slot may not be read
    """
    graph = _Decoder(weights, words)
    hidden = graph.node("Expand", [graph.spoken("input_ids"), "rows"], "embedded")  # (R, A, C)
    graph.memory()
    for at in range(1 + max(int(name.split(".")[2]) for name in weights if name.startswith("model.layers."))):
        hidden = graph.layer(hidden, f"model.layers.{at}")
    graph.scored(graph.norm(hidden, "model.norm"))
    tokens, scored, slots = ("tokens",), ("scored",), ("slots",)
    inputs = {
        "input_ids": (INT, tokens), "positions": (INT, tokens), "mask": (FLOAT, tokens * 2),
        "places": (INT, scored), "labels": (INT, scored), "states": (HALF, (*slots, "width")),
        "ids": (INT, slots), "before": (INT, slots), "bias": (FLOAT, ("memories", *slots)),
    }  # fmt: skip
    return graph.model(inputs, {"chances": (FLOAT, ("memories", *scored))})


class _Decoder(Graph):
    def __init__(self, weights: Mapping[str, np.ndarray], words: np.ndarray) -> None:
        super().__init__()
        self._weights, self._words, self._reads = weights, words, 0
        self.head = weights["projector.key_norm.weight"].shape[0]
        self.groups = weights["model.layers.0.self_attn.k_proj.weight"].shape[0] // self.head
        self.constant("words", words.astype(np.float16))  # half: they are the largest part
        for value in (-1, 1):
            self.constant(str(value), np.array([value], np.int64))
        self.node("Concat", [self.node("Shape", ["bias"], "rows.count", start=0, end=1), "1", "1"], "rows", axis=0)
        self.constant("root", np.array(self.head**-0.5, np.float32))
        angles = np.outer(np.arange(LONGEST), THETA ** -(np.arange(0, self.head, 2) / self.head))  # (LONGEST, D / 2)
        for name, values in (("cos", np.cos(angles)), ("sin", np.sin(angles))):
            table = self.constant(f"{name}.table", np.tile(values, 2).astype(np.float32))  # (LONGEST, D)
            self.gather(table, "positions", name)  # (A, D)

    def whole(self, name: str, *values: int) -> str:
        """Integers as a constant, such as the shape that Reshape takes."""
        return self.constant(name, np.array(values, np.int64))

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def gather(self, table: str, places: str, name: str = "", axis: int = 0) -> str:
        return self.node("Gather", [table, places], name or f"{table}[{places}]", axis=axis)

    def spoken(self, ids: str) -> str:
        """The word vectors of tokens, (., C) float32."""
        return self.node("Cast", [self.gather("words", ids)], f"{ids}.words", to=FLOAT)

    def times(self, x: str, name: str) -> str:
        """A linear layer by its name, with its bias where it has one."""
        product = self.linear(x, self._weights[f"{name}.weight"].T, f"{name}.of.{x}")
        bias = self._weights.get(f"{name}.bias")
        if bias is None:
            return product
        return self.node("Add", [product, self.constant(f"{name}.bias", bias)], f"{name}.sum.{x}")

    def norm(self, x: str, weight: str, name: str = "") -> str:
        """RMSNorm over the last axis; called like its weight where it is not named."""
        name = name or weight
        square = self.node("ReduceMean", [self.node("Mul", [x, x], f"{name}.square"), "-1"], f"{name}.mean", keepdims=1)
        small = self.node("Add", [square, self.scalar(f"{name}.epsilon", EPSILON)], f"{name}.small")
        scaled = self.node("Div", [x, self.node("Sqrt", [small], f"{name}.root")], f"{name}.scaled")
        return self.node("Mul", [scaled, self.constant(f"{weight}.weight", self._weights[f"{weight}.weight"])], name)

    def heads(self, x: str, groups: bool, name: str) -> str:
        """(R, A, H * D) -> (R, G, H / G, A, D); of keys and values, which have no H: (R, G, 1, A, D)."""
        shape = self.constant(f"{name}.shape", np.array([0, 0, self.groups, 1 if groups else -1, self.head], np.int64))
        return self.node("Transpose", [self.node("Reshape", [x, shape], f"{name}.apart")], name, perm=[0, 2, 3, 1, 4])

    def turned(self, x: str, name: str) -> str:
        """Rotated by position: (R, G, H / G, A, D)."""
        halves = left, right = f"{name}.left", f"{name}.right"
        self.node("Split", [x], f"{name}.halves", list(halves), axis=-1, num_outputs=2)
        swapped = self.node("Concat", [self.node("Neg", [right], f"{name}.minus"), left], f"{name}.swapped", axis=-1)
        parts = [self.node("Mul", [x, "cos"], f"{name}.cos"), self.node("Mul", [swapped, "sin"], f"{name}.sin")]
        return self.node("Add", parts, name)

    def attend(self, query: str, keys: str, values: str, mask: str, name: str) -> str:
        """(R, G, H / G, A, D), (., G, 1, S, D) twice, and what is added to the scores -> (R, A, H * D)."""
        keys = self.node("Transpose", [keys], f"{name}.keys", perm=[0, 1, 2, 4, 3])
        scores = self.node("Mul", [self.node("MatMul", [query, keys], f"{name}.product"), "root"], f"{name}.scores")
        scores = self.node("Add", [scores, mask], f"{name}.masked")
        shares = self.node("Softmax", [scores], f"{name}.shares", axis=-1)
        attended = self.node("MatMul", [shares, values], f"{name}.attended")
        together = self.node("Transpose", [attended], f"{name}.together", perm=[0, 3, 1, 2, 4])
        return self.node("Reshape", [together, self.whole(f"{name}.whole", 0, 0, -1)], name)

    def mlp(self, x: str, name: str) -> str:
        gate = self.times(x, f"{name}.gate_proj")
        gate = self.node("Mul", [gate, self.node("Sigmoid", [gate], f"{name}.sigmoid")], f"{name}.silu")
        inner = self.node("Mul", [gate, self.times(x, f"{name}.up_proj")], f"{name}.inner")
        return self.times(inner, f"{name}.down_proj")

    def layer(self, x: str, name: str) -> str:
        """Llama's layer, and the cross-attention to memory after it, if any: (R, A, C) -> (R, A, C)."""
        normed = self.norm(x, f"{name}.input_layernorm")
        query, keys, values = (
            self.heads(self.times(normed, f"{name}.self_attn.{part}_proj"), part != "q", f"{name}.{part}")
            for part in "qkv"
        )
        query, keys = self.turned(query, f"{name}.q.turned"), self.turned(keys, f"{name}.k.turned")
        attended = self.attend(query, keys, values, "mask", f"{name}.attention")
        x = self.node("Add", [x, self.times(attended, f"{name}.self_attn.o_proj")], f"{name}.attended.sum")
        added = self.mlp(self.norm(x, f"{name}.post_attention_layernorm"), f"{name}.mlp")
        x = self.node("Add", [x, added], f"{name}.mlp.sum")
        return self.cross(x, f"{name}.cross_attn") if f"{name}.cross_attn.sink" in self._weights else x

    def cross(self, x: str, name: str) -> str:
        """models.network.cross_attention.GatedCrossAttention over the next layer of memory."""
        keys, values = f"memory.{self._reads}.keys", f"memory.{self._reads}.values"
        self._reads += 1
        sink = self._weights[f"{name}.sink"][None, :, None]  # (1, G, 1, 1, D)
        nothing = self.constant(f"{name}.nothing", np.zeros_like(sink))
        sink = self.constant(f"{name}.sink", sink)
        keys = self.node("Concat", [sink, keys], f"{name}.keys.all", axis=3)  # (1, G, 1, 1 + S, D)
        values = self.node("Concat", [nothing, values], f"{name}.values.all", axis=3)
        query = self.heads(self.times(self.norm(x, f"{name}.norm"), f"{name}.q_proj"), False, f"{name}.q")
        query = self.norm(query, f"{name}.query_norm")
        read = self.times(self.attend(query, keys, values, "bias.sink", f"{name}.read"), f"{name}.o_proj")
        x = self.gated(x, read, f"{name}.attention_gate")
        return self.gated(x, self.mlp(self.norm(x, f"{name}.mlp_norm"), f"{name}.mlp"), f"{name}.mlp_gate")

    def gated(self, x: str, added: str, name: str) -> str:
        gate = self.constant(name, np.tanh(self._weights[name]))
        return self.node("Add", [x, self.node("Mul", [added, gate], f"{name}.opened")], f"{name}.sum")

    def memory(self) -> None:
        """models.network.memory_encoder.MemoryProjector.

        Adds keys and values of each cross layer (1, G, 1, S, D), `pointer` (S, P) and `bias.sink` (R, 1, 1, 1, 1 + S).
        """
        states = self.node("Cast", ["states"], "states.float", to=FLOAT)
        layers = sum(name.endswith("cross_attn.sink") for name in self._weights)
        apart = self.whole("kv.shape", -1, layers, 2, self.groups, self.head)
        kv = self.node("Reshape", [self.times(states, "projector.kv"), apart], "kv.apart")
        kv = self.node("Transpose", [kv], "kv", perm=[1, 2, 3, 0, 4])  # (L, 2, G, S, D)
        each = self.whole("kv.flat", 2 * layers, 1, self.groups, 1, -1, self.head)
        flat = self.node("Reshape", [kv, each], "kv.each")
        names = [f"memory.{layer}.{part}" for layer in range(layers) for part in ("keys", "values")]
        for at, name in enumerate(names):
            number, keys = self.constant(f"{name}.number", np.array(at, np.int64)), name.endswith("keys")
            one = self.gather(flat, number, f"{name}.raw" if keys else name)
            if keys:
                self.norm(one, "projector.key_norm", name)
        some = self.node("Greater", ["before", self.constant("none", np.array(0, np.int32))], "before.is")
        mask = self.node("Unsqueeze", [self.node("Cast", [some], "before.there", to=FLOAT), "1"], "before.mask")
        previous = self.node("Mul", [self.spoken("before"), mask], "before.there.words")
        previous = self.times(previous, "projector.before")
        self.node("Add", [self.times(states, "projector.pointer"), previous], "pointer")
        sink = self.node("Pad", ["bias", self.whole("bias.pads", 0, 1, 0, 0)], "bias.padded")  # (R, 1 + S)
        self.node("Unsqueeze", [sink, self.whole("bias.axes", 1, 2, 3)], "bias.sink")

    def scored(self, hidden: str) -> None:
        """hidden (R, A, C) -> `chances`, models.network.grounded.mixture at the labels."""
        hidden = self.gather(hidden, "places", "hidden", axis=1)  # (R, M, C)
        column = self.node("Unsqueeze", ["labels", "1"], "labels.column")  # (M, 1)
        root = self.scalar("pointer.root", len(self._weights["copy.query.bias"]) ** -0.5)
        query = self.node("Mul", [self.times(hidden, "copy.query"), root], "query")  # (R, M, P)
        pointed = self.node("MatMul", [query, self.node("Transpose", ["pointer"], "pointer.T", perm=[1, 0])], "pointed")
        bias = self.node("Unsqueeze", ["bias", "1"], "bias.middle")
        pointed = self.node("Add", [pointed, bias], "pointed.open")  # (R, M, S)
        weight, shift = (self._weights[f"copy.sentinel.{part}"] for part in ("weight", "bias"))
        sentinel = self.node("MatMul", [hidden, self.constant("sentinel", weight.T)], "sentinel.product")
        sentinel = self.node("Add", [sentinel, self.constant("sentinel.bias", shift)], "sentinel.logit")  # (R, M, 1)
        total = self.summed(self.node("Concat", [sentinel, pointed], "copy.all", axis=-1), "copy.total")
        same = self.node("Equal", [column, "ids"], "same")  # (M, S)
        own = self.node("Where", [same, pointed, self.scalar("closed", CLOSED)], "copied.logits")
        copied = self.node("Sub", [self.summed(own, "copied.sum"), total], "copied.share")
        copied = self.node("Max", [copied, self.scalar("least", np.log(LEAST))], "copied")
        logits = self.linear(hidden, self._words.T, "logits")  # (R, M, V)
        places = self.node("Expand", [column, "rows"], "labels.each")
        own = self.node("GatherElements", [logits, places], "own", axis=-1)
        own = self.node("Sub", [own, self.summed(logits, "logits.total")], "own.share")
        written = self.node("Add", [own, self.node("Sub", [sentinel, total], "nowhere")], "written")
        both = self.summed(self.node("Concat", [written, copied], "mixture", axis=-1), "mixture.sum")
        self.node("Squeeze", [both, "-1"], "chances")

    def summed(self, x: str, name: str) -> str:
        """log sum exp over the last axis, which stays."""
        return self.node("ReduceLogSumExp", [x, "-1"], name, keepdims=1)
