"""States of blocks on disk, so that what was read once is not encoded again: bounded, shared by processes, and never in the way.

They can be made again at any time, so every fault of the disk counts as "not kept".
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

FOLDER = "memory"  # in an index directory
SIZE = 256 * 2**20  # bytes; a block takes some 150,000
WHOLE = 2**20  # bytes up to which a value stands in the database and not in a file of its own
FAULTS = (OSError, sqlite3.Error, ValueError)


class Kept:
    """`get` and `[]=` of a diskcache.Cache, the oldest values going first. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        from diskcache import Cache

        try:
            self._cache = Cache(str(folder), size_limit=SIZE, eviction_policy="least-recently-stored", disk_min_file_size=WHOLE, timeout=0.2)
        except FAULTS:
            self._cache = None

    def get(self, key: str) -> bytes | None:
        from diskcache import Timeout

        try:
            return None if self._cache is None else self._cache.get(key)
        except (*FAULTS, Timeout):
            return None

    def __setitem__(self, key: str, states: bytes) -> None:
        from diskcache import Timeout

        try:
            if self._cache is not None:
                self._cache.set(key, states)
        except (*FAULTS, Timeout):
            pass


def forget(index: Path) -> None:
    """Drop what is kept of an index: documents have gone, and so shall what was made of them."""
    shutil.rmtree(index / FOLDER, ignore_errors=True)
