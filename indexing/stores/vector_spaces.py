"""The vector spaces of an index: one of texts, one of pictures. Scores of two spaces are never compared.

Each space has a table in the store and a FAISS file. In: a query vector. Out: (chunk row, inner product), best first.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexing.stores.schema import meta

if TYPE_CHECKING:
    from indexing.stores.ann import Ann

BATCH = 20_000  # vectors read at once: 30 MB of 384 dimensions

Hits = list[tuple[int, float]]  # (chunk row, score), best first


@dataclass(frozen=True, slots=True)
class Space:
    """Where the parts of a vector space are found in an index."""

    name: str  # its FAISS files begin so
    table: str  # of its vectors
    embedder: str  # key in `meta` of the embedder's name
    fingerprint: str  # key in `meta` of the embedder's fingerprint
    dimension: str  # key in `meta` of the length of a vector


TEXT = Space("text", "vectors", "embedder", "fingerprint", "dimension")
IMAGE = Space("image", "image_vectors", "image_model", "image_fingerprint", "image_dimension")
SPACES = (TEXT, IMAGE)


@dataclass(frozen=True, slots=True)
class _Vectors:
    """All vectors of a space at one state of the store: the FAISS part, newer vectors, removed ids."""

    changes: str | None  # `changes` in meta of the store when these were read
    ann: Ann
    tail_ids: np.ndarray  # (n,) int64, ascending: chunks newer than the FAISS file
    tail: np.ndarray  # (n, d) float32: their vectors
    removed: np.ndarray  # (m,) int64: chunks that the FAISS file may still hold


class VectorSearch:
    """Nearest neighbours in one space, as the store has it now. Many threads at once.

    Vectors newer than the FAISS file are searched by brute force and merged; removed ones are left out.
    """

    def __init__(self, directory: Path, space: Space) -> None:
        self._directory, self._space = directory, space
        self._refresh = threading.Lock()
        self._vectors: _Vectors | None = None

    def nearest(self, db: sqlite3.Connection, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Hits:
        """The k chunks nearest to query (d,), by inner product.

        db: the calling thread's connection; allowed: (n,) int64, the only chunk rows to consider, None for all.
        """
        state = self._state(db)
        if state is None:
            return []  # nothing was ever embedded
        ids, scores = state.ann.search(query, k, allowed=allowed, removed=state.removed)
        if len(state.tail_ids):
            keep = np.ones(len(state.tail_ids), bool) if allowed is None else np.isin(state.tail_ids, allowed)
            ids = np.concatenate([ids, state.tail_ids[keep]])
            scores = np.concatenate([scores, state.tail[keep] @ query])
        best = np.lexsort((ids, -scores))[:k]
        return list(zip(ids[best].tolist(), scores[best].tolist(), strict=True))

    def _state(self, db: sqlite3.Connection) -> _Vectors | None:
        changes, state = meta(db, "changes"), self._vectors
        if state is None or state.changes != changes:
            dimension = int(meta(db, self._space.dimension) or 0)
            if not dimension:
                return None
            with self._refresh:
                if self._vectors is None or self._vectors.changes != changes:
                    self._vectors = self._load(db, dimension, self._vectors)
                state = self._vectors
        return state

    def _load(self, db: sqlite3.Connection, dimension: int, old: _Vectors | None) -> _Vectors:
        from indexing.stores import ann

        found = ann.newest(self._directory, self._space.name)
        current = old.ann if old else None
        if found and (current is None or found[0] > current.epoch):
            current = ann.load(found[1], dimension) or current
        db.execute("BEGIN")  # one state of the store for all that is read
        try:
            changes = meta(db, "changes")
            (last,) = db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()
            sequence = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'chunks'"
            (newest_id,) = db.execute(sequence).fetchone()
            if current is None or current.epoch > newest_id:  # missing, damaged, or of a store that is no more
                current = self._rebuild(db, last, dimension)
            batches = list(vector_batches(db, self._space, newest_id, dimension, after=current.epoch))
            tail_ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in batches)])
            tail = np.concatenate([np.empty((0, dimension), np.float32), *(vectors for _, vectors in batches)])
            rows = db.execute("SELECT chunk FROM removed WHERE space = ?", (self._space.name,))
            removed = np.fromiter((row[0] for row in rows), np.int64)
        finally:
            db.execute("COMMIT")
        return _Vectors(changes, current, tail_ids, tail, removed)

    def _rebuild(self, db: sqlite3.Connection, last: int, dimension: int) -> Ann:
        from indexing.stores import ann

        (count,) = db.execute(f"SELECT count(*) FROM {self._space.table}").fetchone()
        rebuilt = ann.build(lambda: vector_batches(db, self._space, last, dimension), count, dimension, last)
        if count:
            try:
                ann.save(self._directory, self._space.name, rebuilt)
            except (OSError, RuntimeError):  # a directory that cannot be written still answers, only slower to open
                return rebuilt
        return rebuilt


def vector_batches(
    db: sqlite3.Connection, space: Space, last: int, dimension: int, after: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids (n,) int64, vectors (n, dimension) float32) of the rows after `after` up to `last`, in order."""
    sql = f"SELECT chunk, vector FROM {space.table} WHERE chunk > ? AND chunk <= ? ORDER BY chunk"
    cursor = db.execute(sql, (after, last))
    while rows := cursor.fetchmany(BATCH):
        vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(len(rows), dimension)
        yield np.array([row[0] for row in rows], np.int64), vectors
