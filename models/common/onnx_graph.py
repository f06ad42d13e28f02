"""Writes ONNX graphs straight from weights, so that neither torch nor an exporter is needed.

The contrib operators are ONNX Runtime's own (com.microsoft). Activations of a linear layer are quantised per token row, not per tensor, so
that a result does not depend on what else stands in its batch; weights per output channel, to 7 bits, because AVX2 without VNNI
saturates on the eighth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

MS = "com.microsoft"
ACTIVATION_LEVELS = 127.0  # of uint8 around the zero point 128
WEIGHT_LEVELS = 64.0


class Graph:
    """Nodes and constants of a graph that is being written; what adds a node returns the name of its first output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.constant("zero_point", np.array(128, np.uint8))
        self.constant("one", np.array(1, np.float32))
        self.constant("tiny", np.array(1e-6, np.float32))
        self.constant("per_level", np.array(1 / ACTIVATION_LEVELS, np.float32))
        self.constant("last_axis", np.array([-1], np.int64))

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def node(self, kind: str, inputs: list[str], name: str, outputs: list[str] | None = None, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, outputs or [name], name=name, **attributes))
        return (outputs or [name])[0]

    def linear(self, x: str, weight: np.ndarray, name: str) -> str:
        """x (..., in) times weight (in, out) in int8, back in float32 (..., out)."""
        levels, scale = quantised(weight)
        largest = self.node("ReduceMax", [self.node("Abs", [x], f"{name}.abs"), "last_axis"], f"{name}.max", keepdims=1)
        largest = self.node("Max", [largest, "tiny"], f"{name}.largest")
        step = self.node("Mul", [largest, "per_level"], f"{name}.step")  # (..., 1)
        scaled = self.node("Div", [x, step], f"{name}.scaled")
        activations = self.node("QuantizeLinear", [scaled, "one", "zero_point"], f"{name}.quantised")
        product = self.node(
            "MatMulIntegerToFloat",
            [activations, self.constant(f"{name}.weight", levels), "one", self.constant(f"{name}.scale", scale), "zero_point"],
            f"{name}.product", domain=MS,
        )
        return self.node("Mul", [product, step], name)

    def model(self, inputs: Mapping[str, tuple[int, Sequence[str | int]]], outputs: Mapping[str, tuple[int, Sequence[str | int]]]) -> onnx.ModelProto:
        """name -> type and shape, a name in place of a size that varies."""
        ends = [[helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in named.items()] for named in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "graph", *ends, list(self.constants.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(MS, 1)], ir_version=8)


def quantised(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """weight (in, out) -> levels (in, out) int8, and what one level is worth in each column, (out,) float32; made again of these it is the same."""
    scale = (np.maximum(np.abs(weight).max(0), 1e-9) / WEIGHT_LEVELS).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale
