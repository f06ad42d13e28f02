"""ONNX sessions whose graphs are made once and cached in the user's cache directory.

A graph stays in memory where that cannot be written, and is made again where its file is damaged.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime
    from onnx import ModelProto


def open_session(name: str, make: Callable[[], ModelProto]) -> onnxruntime.InferenceSession:
    """The graph called `name`, which must change whenever what `make` writes does."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    path = _path(name)
    if path.exists():
        with contextlib.suppress(Exception):  # a damaged file: ONNX Runtime has no one kind of error for it
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = make().SerializeToString()
    with contextlib.suppress(OSError):
        _keep(graph, path)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _path(name: str) -> Path:
    import platformdirs

    return platformdirs.user_cache_path("folio") / f"{name}.onnx"


def _keep(graph: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(graph)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink()
            raise
