"""Writes ONNX graphs straight from weights, so that neither torch nor an exporter is needed.

The contrib operators are ONNX Runtime's own (com.microsoft). Activations of a linear layer are quantised per token row,
not per tensor, so that a result does not depend on the rest of its batch; weights per output channel, to 7 bits,
because AVX2 without VNNI saturates on the eighth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

MS = "com.microsoft"
ACTIVATION_LEVELS = 127.0  # of uint8 around the zero point 128
WEIGHT_LEVELS = 64.0
Ends = Mapping[str, tuple[int, Sequence[str | int]]]  # inputs or outputs: type and shape, with names for varying sizes


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

    def node(
        self, operator: str, inputs: list[str], name: str, outputs: list[str] | None = None, **attributes: object
    ) -> str:
        self.nodes.append(helper.make_node(operator, inputs, outputs or [name], name=name, **attributes))
        return (outputs or [name])[0]

    def linear(self, x: str, weight: np.ndarray, name: str) -> str:
        """x (..., in) times weight (in, out) in int8, back in float32 (..., out)."""
        levels, scale = quantised(weight)
        largest = self.node("ReduceMax", [self.node("Abs", [x], f"{name}.abs"), "last_axis"], f"{name}.max", keepdims=1)
        largest = self.node("Max", [largest, "tiny"], f"{name}.largest")
        step = self.node("Mul", [largest, "per_level"], f"{name}.step")  # (..., 1)
        scaled = self.node("Div", [x, step], f"{name}.scaled")
        activations = self.node("QuantizeLinear", [scaled, "one", "zero_point"], f"{name}.quantised")
        matrix, scales = self.constant(f"{name}.weight", levels), self.constant(f"{name}.scale", scale)
        inputs = [activations, matrix, "one", scales, "zero_point"]
        product = self.node("MatMulIntegerToFloat", inputs, f"{name}.product", domain=MS)
        return self.node("Mul", [product, step], name)

    def model(self, inputs: Ends, outputs: Ends) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "graph", _infos(inputs), _infos(outputs), list(self.constants.values()))
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MS, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _infos(ends: Ends) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in ends.items()]


def quantised(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """weight (in, out) -> levels (in, out) int8, and the value of one level in each column, (out,) float32.

    The product of both, quantised again, gives the same levels.
    """
    scale = (np.maximum(np.abs(weight).max(0), 1e-9) / WEIGHT_LEVELS).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale
