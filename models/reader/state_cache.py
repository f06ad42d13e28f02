"""Encoder states of blocks, cached on disk between questions and processes.

In: a key and raw bytes, for one index. Out: the same bytes, or None. One SQLite file in the user's cache folder serves
all indexes. Each value carries a digest keyed with a secret of this user, so that only what this user's Folio wrote is
read back. States can be computed again: every fault of the disk counts as a miss. Knows nothing of what a key means.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from models.common.user_cache import is_private, make_private, user_cache

SIZE = 256 * 2**20  # bytes of all values; a block takes some 150,000
FILE, SECRET = "states.sqlite", "states.key"
DIGEST = 16  # bytes
WAIT, FORGET_WAIT = 0.2, 5.0  # seconds for another process: a miss is cheap, a promise to forget is not
SCHEMA = """
CREATE TABLE IF NOT EXISTS states (
    number INTEGER PRIMARY KEY, owner TEXT NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL,
    value BLOB NOT NULL, UNIQUE (owner, key)
);
CREATE INDEX IF NOT EXISTS states_sizes ON states (number, size);
"""
Found = TypeVar("Found")


class StateCache:
    """`get` and `[]=` for the states of one index; the oldest values of all indexes go first. Thread-safe."""

    def __init__(self, index: Path) -> None:
        self._owner, self._lock = _owner(index), threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._secret = b""
        with contextlib.suppress(OSError, sqlite3.Error):
            self._db, self._secret = _open(WAIT)
            _drop_orphans(self._db)

    def get(self, key: str) -> bytes | None:
        query = "SELECT value, digest FROM states WHERE owner = ? AND key = ?"
        row = self._try(lambda db: db.execute(query, (self._owner, key)).fetchone())
        if not row or not all(isinstance(part, bytes) for part in row):
            return None
        value, digest = row
        return value if hmac.compare_digest(digest, self._digest(key, value)) else None

    def __setitem__(self, key: str, states: bytes) -> None:
        row = (self._owner, key, len(states), self._digest(key, states), states)
        insert = "INSERT OR REPLACE INTO states (owner, key, size, digest, value) VALUES (?, ?, ?, ?, ?)"

        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                db.execute(insert, row)
                _evict(db)

        self._try(write)

    def _digest(self, key: str, value: bytes) -> bytes:
        digest = hashlib.blake2b(f"{len(key)}:{key}".encode(), key=self._secret, digest_size=DIGEST)
        digest.update(value)
        return digest.digest()

    def _try(self, act: Callable[[sqlite3.Connection], Found]) -> Found | None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            return act(self._db) if self._db is not None else None
        return None


def forget(index: Path) -> None:
    """Drop the cached states of an index: documents have gone, and so shall what was made of them."""
    folder = user_cache()
    if folder is None or not (folder / FILE).exists():
        return
    with contextlib.suppress(OSError, sqlite3.Error), contextlib.closing(_open(FORGET_WAIT)[0]) as db:
        db.execute("DELETE FROM states WHERE owner = ?", (_owner(index),))


def _owner(index: Path) -> str:
    return str(Path(index).resolve())


def _open(wait: float) -> tuple[sqlite3.Connection, bytes]:
    """The database and the secret of this user. Raises OSError, also where a file is not private, and sqlite3.Error."""
    folder = user_cache()
    if folder is None:
        raise OSError("no cache folder of this user's own")
    for name, content in ((SECRET, secrets.token_bytes(32)), (FILE, b"")):
        with contextlib.suppress(FileExistsError):
            make_private(folder / name, content)
        if not is_private(folder / name):
            raise PermissionError(f"{folder / name} can be reached by others")
    secret = (folder / SECRET).read_bytes()
    if len(secret) < 32:
        raise OSError("the secret is damaged")
    db = sqlite3.connect(folder / FILE, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "secure_delete = ON", "synchronous = NORMAL"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
    except sqlite3.Error as error:
        db.close()
        if not isinstance(error, sqlite3.OperationalError):  # damaged: the next process starts afresh
            for suffix in ("", "-wal", "-shm"):
                (folder / f"{FILE}{suffix}").unlink(missing_ok=True)
        raise
    return db, secret


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _evict(db: sqlite3.Connection) -> None:
    """Delete the oldest values until the rest is within SIZE."""
    (total,) = db.execute("SELECT coalesce(sum(size), 0) FROM states").fetchone()
    if total <= SIZE:
        return
    last = 0
    for number, size in db.execute("SELECT number, size FROM states ORDER BY number"):
        last, total = number, total - size
        if total <= SIZE:
            break
    db.execute("DELETE FROM states WHERE number <= ?", (last,))


def _drop_orphans(db: sqlite3.Connection) -> None:
    """Drop the states of indexes whose folder is gone: deleted, moved, or a conversation's that ended."""
    owners = [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM states")]
    for owner in owners:
        if not Path(owner).exists():
            db.execute("DELETE FROM states WHERE owner = ?", (owner,))
