"""Upkeep of an index: removing documents, and bringing the FAISS files up to date with the store."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from indexing.stores import ann
from indexing.stores.schema import FILE
from indexing.stores.sqlite import Store, StoreError
from indexing.stores.vector_spaces import SPACES, Space, vector_batches
from models.reader.state_cache import forget

GROWTH = 0.25  # share of new or removed rows from which an approximate FAISS index is built again


def remove(index_dir: str | os.PathLike[str], name: str) -> int:
    """Remove a document, or a file with all its documents. Returns how many. Raises StoreError for an unknown name.

    The file is read again by a later run that is pointed at it.
    """
    if not (Path(index_dir) / FILE).exists():
        raise StoreError(f"no index in {index_dir}")
    with Store(Path(index_dir)) as store:
        file = store.db.execute("SELECT id FROM files WHERE name = ? OR path = ?", (name, name)).fetchone()
        document = store.db.execute("SELECT id, file FROM documents WHERE name = ?", (name,)).fetchone()
        if file:
            count = store.remove_file(file[0])
        elif document:
            with store.transaction():
                store.remove_document(document[0])
                store.db.execute("UPDATE files SET stamp = '', hash = '' WHERE id = ?", (document[1],))
            count = 1
        else:
            listing = f"`python -m indexing status --index {index_dir}` lists them"
            raise StoreError(f"no document {name!r} in {index_dir}: {listing}")
        update_ann(store)
    return count


def update_ann(store: Store) -> None:
    """Make the FAISS files cover all that is in the store: extended where that is enough, else built again."""
    if store.db.execute("SELECT 1 FROM removed").fetchone():
        forget(store.directory)
    for space in SPACES:
        _update(store, space)


def _update(store: Store, space: Space) -> None:
    db = store.db
    dimension = int(store.meta(space.dimension) or 0)
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()
    (count,) = db.execute(f"SELECT count(*) FROM {space.table}").fetchone()
    (removed,) = db.execute("SELECT count(*) FROM removed WHERE space = ?", (space.name,)).fetchone()
    newest = ann.newest(store.directory, space.name)
    if not count and not newest:
        return
    if newest and newest[0] == last and not removed:
        return
    old = ann.load(newest[1], dimension) if newest and count >= ann.EXACT_BELOW else None
    if old is not None and (last - old.epoch + removed) < GROWTH * count and old.epoch <= last:
        rows = db.execute("SELECT chunk FROM removed WHERE space = ? AND chunk <= ?", (space.name, old.epoch))
        gone = np.fromiter((row[0] for row in rows), np.int64)
        fresh = ann.extend(old, gone, vector_batches(db, space, last, dimension, after=old.epoch), last)
    else:
        fresh = ann.build(lambda: vector_batches(db, space, last, dimension), count, dimension, last)
    ann.save(store.directory, space.name, fresh)
    with store.transaction():
        db.execute("DELETE FROM removed WHERE space = ? AND chunk <= ?", (space.name, last))
