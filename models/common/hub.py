"""Whether opening a model may fetch it from a hub. It may not, unless its caller was told so by the user.

The name of a model may come from an index that a stranger made. Libraries look a name up at the hub, and also what a
folder on this machine refers to: so they are held offline as a whole, while they open something.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

REMEDY = "say --download to fetch it from its hub, or give a folder on this machine"
_lock = threading.RLock()


@contextlib.contextmanager
def access(download: bool) -> Iterator[None]:
    """While inside, huggingface_hub and all that builds on it stay offline, unless `download`.

    HF_HUB_OFFLINE=1 of the user's own keeps them offline all the same. One opening at a time in a process.
    """
    from huggingface_hub import constants

    with _lock:
        before = constants.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = before or not download
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE = before


def is_here(name: str) -> bool:
    """Whether a sentence-transformers model is a folder on this machine or in the cache of the hub. Loads no torch."""
    from huggingface_hub import constants

    cached = [f"models--{one.replace('/', '--')}" for one in (name, f"sentence-transformers/{name}")]
    return Path(name).is_dir() or any((Path(constants.HF_HUB_CACHE) / one).is_dir() for one in cached)
