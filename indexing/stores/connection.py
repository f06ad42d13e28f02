"""SQLite connections to an index directory. Knows the format's version, nothing of what the tables hold."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from indexing.stores import schema
from indexing.stores.schema import meta
from models.common.errors import FolioError

MAPPED = 1 << 30  # bytes of the file that SQLite reads through the page cache instead of copying them
BUSY_SECONDS = 30  # a statement waits so long for another process's transaction


class StoreError(FolioError):
    """An index that cannot be opened or used as asked."""


class ThreadConnections:
    """Read-only connections to one index: `current` is the calling thread's own, opened at its first use.

    Raises StoreError when the directory holds no index, or one of another format.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / schema.FILE
        if not self._path.exists():
            raise StoreError(f"no index in {directory}: make one with `python -m indexing SRC --index {directory}`")
        self._local = threading.local()
        check_version(self.current, directory)

    @property
    def current(self) -> sqlite3.Connection:
        if not hasattr(self._local, "db"):
            self._local.db = connect(self._path, read_only=True)
        return self._local.db


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode: only explicit transactions. Raises StoreError when the file is no database."""
    try:
        mode = "mode=ro" if read_only else "mode=rwc"
        if read_only and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-shm").exists():
            mode = "immutable=1"  # nobody can write there, and SQLite cannot make the file that it shares with writers
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, timeout=BUSY_SECONDS,
            check_same_thread=False,
        )
        db.execute("PRAGMA foreign_keys=ON")
        # a WAL survives a killed process whole; a power cut may lose the last documents, never half of one
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA mmap_size={MAPPED}")
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path} cannot be opened as an index ({error}): index its sources again into a new directory"
        ) from error
    return db


def check_version(db: sqlite3.Connection, directory: Path) -> None:
    """Raises StoreError for an index of another format than schema.VERSION."""
    try:
        version = meta(db, "version")
    except sqlite3.OperationalError:
        version = None
    if version != str(schema.VERSION):
        raise StoreError(
            f"{directory} holds an index of format {version}, this Folio reads format {schema.VERSION}: "
            "index its sources again into a new directory"
        )
