"""Checks the invariants of an index that can be checked without its sources."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from indexing.index import Index
from indexing.stores import ann
from indexing.stores.connection import StoreError
from indexing.stores.schema import meta
from indexing.stores.vector_spaces import SPACES


def verify(index_dir: str | os.PathLike[str]) -> list[str]:
    """A line for each problem; empty for a sound index. Raises StoreError when there is no index."""
    try:
        return _problems(Index(Path(index_dir)))
    except sqlite3.DatabaseError as error:
        return [f"database: {error}"]
    except StoreError as error:
        if isinstance(error.__cause__, sqlite3.DatabaseError):  # too damaged to be opened
            return [f"database: {error.__cause__}"]
        raise


def _problems(index: Index) -> list[str]:
    db = index.db
    problems = [f"database: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]

    def count(what: str, sql: str) -> None:
        (number,) = db.execute(sql).fetchone()
        if number:
            problems.append(f"{number} {what}")

    count("chunks without a vector", "SELECT count(*) FROM chunks LEFT JOIN vectors ON chunk = id WHERE chunk IS NULL")
    count("vectors without a chunk", "SELECT count(*) FROM vectors LEFT JOIN chunks ON chunk = id WHERE id IS NULL")
    count("pictures without a vector", """SELECT count(DISTINCT document || ' ' || picture) FROM chunks
        WHERE picture IS NOT NULL AND (document, picture) NOT IN
        (SELECT document, picture FROM chunks JOIN image_vectors ON chunk = id)""")
    for space in SPACES:
        count(f"{space.name} vectors of a wrong size", f"""SELECT count(*) FROM {space.table}
            WHERE length(vector) != 4 * (SELECT value FROM meta WHERE key = '{space.dimension}')""")
    (indexed,) = db.execute("SELECT count(*) FROM fulltext_docsize").fetchone()
    if indexed != index.count():
        problems.append(f"the full text holds {indexed} chunks, the store {index.count()}")
    for id, name in db.execute("SELECT id, name FROM documents ORDER BY id").fetchall():
        text = index.documents.text(name)
        rows = db.execute("SELECT chunk_id, start, end, text FROM chunks WHERE document = ?", (id,))
        wrong = [chunk_id for chunk_id, start, end, chunk in rows if text[start:end] != chunk]
        problems += [f"{name}: chunk {chunk_id} is not the text at its place" for chunk_id in wrong]
    for space in SPACES:
        newest = ann.newest(index.directory, space.name)
        if newest and ann.load(newest[1], int(meta(db, space.dimension) or 0)) is None:
            problems.append(f"{newest[1].name} is damaged; it is made anew when the index is next searched")
    return problems
