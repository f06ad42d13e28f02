"""An ONNX graph that is made once and kept in the user's cache; in memory where that cannot be written."""

from __future__ import annotations

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
    return onnxruntime.InferenceSession(_kept(name, make), options, providers=["CPUExecutionProvider"])


def _kept(name: str, make: Callable[[], ModelProto]) -> str | bytes:
    import platformdirs

    path = platformdirs.user_cache_path("folio") / f"{name}.onnx"
    if path.exists():
        return str(path)
    graph = make().SerializeToString()
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
