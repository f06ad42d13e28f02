"""GroundedForCausalLM's decoder as an ONNX graph in int8: how likely it is to write given tokens, read from given memory.

Knows nothing of tokenizers or files; the weights alone say its shape. Legend: R memories that differ in which slots may be read, A tokens,
M tokens that are scored, S slots, C width, G key-value heads, H query heads, D width of a head, P width of the pointer, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto

from models.common.onnx_graph import Graph
from models.reader.sequences import CLOSED

EPSILON, THETA, LONGEST = 1e-6, 10000.0, 512  # of RMSNorm, of RoPE, and positions: Llama's own, which models.network.config keeps
LEAST = 1e-9  # as in models.network.grounded
FLOAT, HALF, INT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32


def decoder(weights: Mapping[str, np.ndarray], words: np.ndarray) -> onnx.ModelProto:
    """-> `chances` (R, M) float32: the log-probability of each label.

    `input_ids`, `positions` (A,) int32; `mask` (A, A) float32, added to the scores of self-attention; `labels` (M,) int32 are what follows
    the tokens at `places` (M,) int32. Memory: `states` (S, C) float16, `ids` (S,) int32 their tokens and `before` (S,) int32 the tokens in front
    of these, 0 where there is none; `bias` (R, S) float32, 0 or CLOSED. weights: model.*, projector.* and copy.* of a GroundedForCausalLM; words: its word vectors (V, C).
    """
    graph = _Decoder(weights, words)
    hidden = graph.node("Expand", [graph.spoken("input_ids"), "rows"], "embedded")  # (R, A, C)
    graph.memory()
    for at in range(1 + max(int(name.split(".")[2]) for name in weights if name.startswith("model.layers."))):
        hidden = graph.layer(hidden, f"model.layers.{at}")
    graph.scored(graph.norm(hidden, "model.norm"))
    tokens, scored, slots = ("tokens",), ("scored",), ("slots",)
    inputs = {
        "input_ids": (INT, tokens), "positions": (INT, tokens), "mask": (FLOAT, tokens * 2), "places": (INT, scored), "labels": (INT, scored),
        "states": (HALF, (*slots, "width")), "ids": (INT, slots), "before": (INT, slots), "bias": (FLOAT, ("memories", *slots)),
    }
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
            self.gather(self.constant(f"{name}.table", np.tile(values, 2).astype(np.float32)), "positions", name)  # (A, D)

    def gather(self, table: str, places: str, name: str = "", axis: int = 0) -> str:
        return self.node("Gather", [table, places], name or f"{table}[{places}]", axis=axis)

    def spoken(self, ids: str) -> str:
        """The word vectors of tokens, (., C) float32."""
        return self.node("Cast", [self.gather("words", ids)], f"{ids}.words", to=FLOAT)

    def times(self, x: str, name: str) -> str:
        """A linear layer by its name, with its bias where it has one."""
        product = self.linear(x, self._weights[f"{name}.weight"].T, f"{name}.of.{x}")
        bias = self._weights.get(f"{name}.bias")
        return product if bias is None else self.node("Add", [product, self.constant(f"{name}.bias", bias)], f"{name}.sum.{x}")

    def norm(self, x: str, weight: str, name: str = "") -> str:
        """RMSNorm over the last axis; called like its weight where it is not named."""
        name = name or weight
        square = self.node("ReduceMean", [self.node("Mul", [x, x], f"{name}.square"), "-1"], f"{name}.mean", keepdims=1)
        small = self.node("Add", [square, self.constant(f"{name}.epsilon", np.array(EPSILON, np.float32))], f"{name}.small")
        scaled = self.node("Div", [x, self.node("Sqrt", [small], f"{name}.root")], f"{name}.scaled")
        return self.node("Mul", [scaled, self.constant(f"{weight}.weight", self._weights[f"{weight}.weight"])], name)

    def heads(self, x: str, groups: bool, name: str) -> str:
        """(R, A, H * D) -> (R, G, H / G, A, D); of keys and values, which have no H: (R, G, 1, A, D)."""
        shape = self.constant(f"{name}.shape", np.array([0, 0, self.groups, 1 if groups else -1, self.head], np.int64))
        return self.node("Transpose", [self.node("Reshape", [x, shape], f"{name}.apart")], name, perm=[0, 2, 3, 1, 4])

    def turned(self, x: str, name: str) -> str:
        """Rotated by position: (R, G, H / G, A, D)."""
        left, right = self.node("Split", [x], f"{name}.halves", [f"{name}.left", f"{name}.right"], axis=-1, num_outputs=2), f"{name}.right"
        swapped = self.node("Concat", [self.node("Neg", [right], f"{name}.minus"), left], f"{name}.swapped", axis=-1)
        parts = [self.node("Mul", [x, "cos"], f"{name}.cos"), self.node("Mul", [swapped, "sin"], f"{name}.sin")]
        return self.node("Add", parts, name)

    def attend(self, query: str, keys: str, values: str, mask: str, name: str) -> str:
        """(R, G, H / G, A, D), (., G, 1, S, D) twice, and what is added to the scores -> (R, A, H * D)."""
        scores = self.node("MatMul", [query, self.node("Transpose", [keys], f"{name}.keys", perm=[0, 1, 2, 4, 3])], f"{name}.product")
        scores = self.node("Add", [self.node("Mul", [scores, "root"], f"{name}.scores"), mask], f"{name}.masked")
        attended = self.node("MatMul", [self.node("Softmax", [scores], f"{name}.shares", axis=-1), values], f"{name}.attended")
        together = self.node("Transpose", [attended], f"{name}.together", perm=[0, 3, 1, 2, 4])
        return self.node("Reshape", [together, self.constant(f"{name}.whole", np.array([0, 0, -1], np.int64))], name)

    def mlp(self, x: str, name: str) -> str:
        gate = self.times(x, f"{name}.gate_proj")
        gate = self.node("Mul", [gate, self.node("Sigmoid", [gate], f"{name}.sigmoid")], f"{name}.silu")
        return self.times(self.node("Mul", [gate, self.times(x, f"{name}.up_proj")], f"{name}.inner"), f"{name}.down_proj")

    def layer(self, x: str, name: str) -> str:
        """Llama's layer, and what is read of memory after it: (R, A, C) -> (R, A, C)."""
        normed = self.norm(x, f"{name}.input_layernorm")
        query, keys, values = (self.heads(self.times(normed, f"{name}.self_attn.{part}_proj"), part != "q", f"{name}.{part}") for part in "qkv")
        attended = self.attend(self.turned(query, f"{name}.q.turned"), self.turned(keys, f"{name}.k.turned"), values, "mask", f"{name}.attention")
        x = self.node("Add", [x, self.times(attended, f"{name}.self_attn.o_proj")], f"{name}.attended.sum")
        x = self.node("Add", [x, self.mlp(self.norm(x, f"{name}.post_attention_layernorm"), f"{name}.mlp")], f"{name}.mlp.sum")
        return self.cross(x, f"{name}.cross_attn") if f"{name}.cross_attn.sink" in self._weights else x

    def cross(self, x: str, name: str) -> str:
        """models.network.cross_attention.GatedCrossAttention over the next layer of memory."""
        keys, values = f"memory.{self._reads}.keys", f"memory.{self._reads}.values"
        self._reads += 1
        sink = self._weights[f"{name}.sink"][None, :, None]  # (1, G, 1, 1, D)
        keys = self.node("Concat", [self.constant(f"{name}.sink", sink), keys], f"{name}.keys.all", axis=3)  # (1, G, 1, 1 + S, D)
        values = self.node("Concat", [self.constant(f"{name}.nothing", np.zeros_like(sink)), values], f"{name}.values.all", axis=3)
        query = self.norm(self.heads(self.times(self.norm(x, f"{name}.norm"), f"{name}.q_proj"), False, f"{name}.q"), f"{name}.query_norm")
        read = self.times(self.attend(query, keys, values, "bias.sink", f"{name}.read"), f"{name}.o_proj")
        x = self.gated(x, read, f"{name}.attention_gate")
        return self.gated(x, self.mlp(self.norm(x, f"{name}.mlp_norm"), f"{name}.mlp"), f"{name}.mlp_gate")

    def gated(self, x: str, added: str, name: str) -> str:
        gate = self.constant(name, np.tanh(self._weights[name]))
        return self.node("Add", [x, self.node("Mul", [added, gate], f"{name}.opened")], f"{name}.sum")

    def memory(self) -> None:
        """models.network.memory_encoder.MemoryProjector: keys and values of each cross layer (1, G, 1, S, D), and `pointer` (S, P); `bias.sink` (R, 1, 1, 1, 1 + S)."""
        states = self.node("Cast", ["states"], "states.float", to=FLOAT)
        layers = sum(name.endswith("cross_attn.sink") for name in self._weights)
        shape = self.constant("kv.shape", np.array([-1, layers, 2, self.groups, self.head], np.int64))
        kv = self.node("Transpose", [self.node("Reshape", [self.times(states, "projector.kv"), shape], "kv.apart")], "kv", perm=[1, 2, 3, 0, 4])  # (L, 2, G, S, D)
        names = [f"memory.{layer}.{part}" for layer in range(layers) for part in ("keys", "values")]
        flat = self.node("Reshape", [kv, self.constant("kv.flat", np.array([2 * layers, 1, self.groups, 1, -1, self.head], np.int64))], "kv.each")
        for at, name in enumerate(names):
            keys = name.endswith("keys")
            one = self.gather(flat, self.constant(f"{name}.number", np.array(at, np.int64)), f"{name}.raw" if keys else name)
            if keys:
                self.norm(one, "projector.key_norm", name)
        there = self.node("Cast", [self.node("Greater", ["before", self.constant("none", np.array(0, np.int32))], "before.is")], "before.there", to=FLOAT)
        previous = self.node("Mul", [self.spoken("before"), self.node("Unsqueeze", [there, "1"], "before.mask")], "before.there.words")
        previous = self.times(previous, "projector.before")
        self.node("Add", [self.times(states, "projector.pointer"), previous], "pointer")
        sink = self.node("Pad", ["bias", self.constant("bias.pads", np.array([0, 1, 0, 0], np.int64))], "bias.padded")  # (R, 1 + S)
        self.node("Unsqueeze", [sink, self.constant("bias.axes", np.array([1, 2, 3], np.int64))], "bias.sink")

    def scored(self, hidden: str) -> None:
        """hidden (R, A, C) -> `chances`, the mixture of models.network.grounded at the labels."""
        hidden = self.gather(hidden, "places", "hidden", axis=1)  # (R, M, C)
        column = self.node("Unsqueeze", ["labels", "1"], "labels.column")  # (M, 1)
        query = self.node("Mul", [self.times(hidden, "copy.query"), self.constant("pointer.root", np.array(len(self._weights["copy.query.bias"]) ** -0.5, np.float32))], "query")
        pointed = self.node("MatMul", [query, self.node("Transpose", ["pointer"], "pointer.T", perm=[1, 0])], "pointed")
        pointed = self.node("Add", [pointed, self.node("Unsqueeze", ["bias", "1"], "bias.middle")], "pointed.open")  # (R, M, S)
        sentinel = self.node("MatMul", [hidden, self.constant("sentinel", self._weights["copy.sentinel.weight"].T)], "sentinel.product")
        sentinel = self.node("Add", [sentinel, self.constant("sentinel.bias", self._weights["copy.sentinel.bias"])], "sentinel.logit")  # (R, M, 1)
        total = self.summed(self.node("Concat", [sentinel, pointed], "copy.all", axis=-1), "copy.total")
        same = self.node("Equal", [column, "ids"], "same")  # (M, S)
        copied = self.summed(self.node("Where", [same, pointed, self.constant("closed", np.array(CLOSED, np.float32))], "copied.logits"), "copied.sum")
        least = self.constant("least", np.array(np.log(LEAST), np.float32))
        copied = self.node("Max", [self.node("Sub", [copied, total], "copied.share"), least], "copied")
        logits = self.linear(hidden, self._words.T, "logits")  # (R, M, V)
        places = self.node("Expand", [column, "rows"], "labels.each")
        own = self.node("Sub", [self.node("GatherElements", [logits, places], "own", axis=-1), self.summed(logits, "logits.total")], "own.share")
        written = self.node("Add", [own, self.node("Sub", [sentinel, total], "nowhere")], "written")
        both = self.summed(self.node("Concat", [written, copied], "mixture", axis=-1), "mixture.sum")
        self.node("Squeeze", [both, "-1"], "chances")

    def summed(self, x: str, name: str) -> str:
        """log sum exp over the last axis, which stays."""
        return self.node("ReduceLogSumExp", [x, "-1"], name, keepdims=1)
