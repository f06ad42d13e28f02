"""How the command lines end: one line for what a user can cause, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from models.common.errors import FolioError

WRONG_USE = 2


def run(act: Callable[[], int | None]) -> int:
    """The exit status of a command."""
    try:
        return act() or 0
    except FolioError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_USE
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that closing it at exit does not fail again
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
