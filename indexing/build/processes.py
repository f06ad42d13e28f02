"""Worker processes that parse and draw what may be hostile: a crash, a hang or a lack of memory costs only themselves.

Parent: a `Worker` is started for a module and exchanges messages with it over pipes that only the two hold. Worker:
`serve` gives the same pipes from inside. (Not multiprocessing: its children import the user's script again, and it
exchanges pickles.) Knows nothing of what is parsed or drawn.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from indexing.build import messages

MEMORY = 6 << 30  # bytes of address space of a worker
ROOT = Path(__file__).parents[2]  # where the rooms lie


class Worker:
    """A process of `python -m MODULE`, and the parent's ends of its pipes."""

    def __init__(self, module: str) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}
        # -P: no module is taken from the folder that the parent happens to run in
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment,
        )

    def send(self, message: Any) -> None:
        """Hand a message over; one that has died is noticed by `receive`."""
        try:
            messages.write(self._process.stdin, message)
        except (BrokenPipeError, OSError):  # Windows has another error for a broken pipe
            return

    def receive(self, kinds: Sequence[type]) -> Any | None:
        """The next message; None when the process is gone. One that says what is no message is stopped."""
        try:
            return messages.read(self._process.stdout, kinds)
        except EOFError:
            return None
        except (ValueError, OSError):
            self.stop()
            return None

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def cause_of_death(self) -> str:
        code = self._process.wait()
        return f"crashed (signal {-code})" if code < 0 else f"ended early (code {code})"


def serve() -> tuple[BinaryIO, BinaryIO]:
    """The worker's own ends: what to read requests from and what to write to. Limits its memory."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not fall among the messages
    _limit("RLIMIT_AS", MEMORY)
    _limit("RLIMIT_CORE", 0)
    return sys.stdin.buffer, out


def limit_time(seconds: float) -> None:
    """End this process when it has computed for so many seconds more. On Windows only the parent's clock does that."""
    _limit("RLIMIT_CPU", math.ceil(sum(os.times()[:2]) + seconds))


def _limit(name: str, value: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    try:
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
    except (ValueError, OSError):  # macOS knows the limit of memory and refuses to set it
        return
