"""One step of the writer's decoder at a time, over a cache of keys and values. Imports no torch.

In: token ids of hypotheses that are equally long. Out: log-probabilities of the token after each, and the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.common.errors import WeightsError
from models.common.onnx_session import open_session
from models.writer.base import SHA256, checked_file

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

ADAPTER = Path(__file__).parents[2] / "data" / "weights" / "writer_adapter.safetensors"
GRAPH_VERSION = 1  # raised when models.writer.graph or gguf_weights changes what it makes
TOKENIZER, SHAPE = "tokenizer", "shape"  # keys of what the cached graph carries besides


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """log_probabilities: (B, V) of the token after each of B hypotheses. cache: by input name, (B, G, P, D)."""

    log_probabilities: np.ndarray
    cache: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """session: a graph of models.writer.graph. empty: (1, G, 0, D), of each layer's keys and values. Thread-safe."""

    session: InferenceSession
    tokenizer: Tokenizer
    empty: np.ndarray

    def read(self, ids: Sequence[int]) -> Step:
        """The step after a prompt."""
        names = [one.name for one in self.session.get_inputs() if one.name.endswith(".before")]
        return self._run(np.array([ids], np.int64), dict.fromkeys(names, self.empty))

    def extend(self, step: Step, rows: Sequence[int], ids: Sequence[int]) -> Step:
        """The step after each token of `ids` behind the hypothesis of the same place in `rows`."""
        cache = {name: values[list(rows)] for name, values in step.cache.items()}
        return self._run(np.array(ids, np.int64)[:, None], cache)

    def _run(self, ids: np.ndarray, cache: dict[str, np.ndarray]) -> Step:
        total = next(iter(cache.values())).shape[2] + ids.shape[1]
        state = {"last": np.full(len(ids), total - 1, np.int32), "total": np.array([total], np.int32)}
        names = [name.removesuffix(".before") for name in cache]
        logits, *cached = self.session.run(["logits", *names], {"ids": ids, **state, **cache})
        logits -= logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        return Step(logits, dict(zip(cache, cached, strict=True)))


def open_decoder() -> Decoder:
    """The pretrained decoder with its adapter put in. Raises WeightsError.

    Some 10 s for the first time, in which the graph is made and cached; below 1 s afterwards.
    """
    from tokenizers import Tokenizer

    try:
        digest = hashlib.blake2b(ADAPTER.read_bytes(), digest_size=8).hexdigest()
    except OSError as error:
        raise WeightsError(f"the writer's adapter {ADAPTER} cannot be read: restore it from the repository") from error
    session = open_session(f"writer-{SHA256[:16]}-{digest}-{GRAPH_VERSION}", _graph)
    carried = session.get_modelmeta().custom_metadata_map
    groups, head = map(int, carried[SHAPE].split())
    return Decoder(session, Tokenizer.from_str(carried[TOKENIZER]), np.zeros((1, groups, 0, head), np.float32))


def _graph() -> ModelProto:
    from onnx.helper import set_model_props
    from safetensors.numpy import load_file

    from models.writer import gguf_weights
    from models.writer.graph import llama

    reader = gguf_weights.open_gguf(checked_file())
    sizes = gguf_weights.sizes(reader)
    graph = llama(gguf_weights.weights(reader, load_file(ADAPTER)), sizes)
    shape = f"{sizes.groups} {sizes.width // sizes.heads}"
    set_model_props(graph, {TOKENIZER: gguf_weights.tokenizer(reader).to_str(), SHAPE: shape})
    return graph
