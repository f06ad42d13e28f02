"""ONNX Runtime without telemetry, and sessions over graphs that are made once and cached on disk.

In: a name and a function that makes the graph. Out: an InferenceSession on the CPU. Where the cache cannot be written
the graph stays in memory; a damaged one is made again.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from models.common.user_cache import is_private, user_cache

if TYPE_CHECKING:
    import onnxruntime
    from onnx import ModelProto


# The fused kernel of layer norm and residual is left out: it takes twice as long as its parts.
RUNTIME = {"providers": ["CPUExecutionProvider"], "disabled_optimizers": ["SkipLayerNormFusion"]}


def import_onnxruntime() -> ModuleType:
    """The module onnxruntime, with its telemetry off. Call it before anything else imports onnxruntime.

    From 1.32 on, ONNX Runtime writes a device id and queues events for its maker as soon as it is loaded, unless this
    variable is set; older ones only know the call.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(name: str, make: Callable[[], ModelProto], threads: int = 0) -> onnxruntime.InferenceSession:
    """The graph called `name`, which must change whenever what `make` writes does.

    threads: of one run, 0 for one a core. A graph that runs many small inputs is opened with 1, and its inputs are
    spread over the cores by models.common.parallel.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    folder = user_cache()
    path = folder / f"{name}.onnx" if folder else None
    if path and path.exists() and is_private(path):
        with contextlib.suppress(Exception):  # a damaged file: ONNX Runtime has no one kind of error for it
            return runtime.InferenceSession(str(path), options, **RUNTIME)
    graph = make().SerializeToString()
    if path:
        with contextlib.suppress(OSError):
            _write(graph, path)
    return runtime.InferenceSession(graph, options, **RUNTIME)


def _write(graph: bytes, path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:  # which only this user can read
        try:
            file.write(graph)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink()
            raise
