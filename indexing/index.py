"""An index open for reading: search of vectors and full text, chunks; `documents` for whole texts, pages and pictures.

Many threads at once; takes no lock that an indexing run waits for. The next search sees what such a run has committed.
Knows nothing of questions: the caller embeds the query and writes the full-text expression.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from indexing.boxes import unpack_boxes
from indexing.documents import Documents
from indexing.filters import Filter
from indexing.stores.connection import ThreadConnections
from indexing.stores.schema import meta
from indexing.stores.vector_spaces import IMAGE, SPACES, TEXT, Hits, Space, VectorSearch
from indexing.types import Chunk, Locator, Modality

# BM25 weights of name, headings, text, opening. 1.0 is FTS5's default; the last one is measured by
# `python -m bench.passages`: the table of openings in docs/figures.md.
WEIGHTS = "1.0, 1.0, 1.0, 0.5"


class Index:
    """Raises StoreError when `directory` holds no index, or one of another format."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self._connections = ThreadConnections(self.directory)
        self._vectors = {space.name: VectorSearch(self.directory, space) for space in SPACES}
        self.documents = Documents(self._connections)
        self.embedder_name = meta(self.db, TEXT.embedder) or ""
        self.fingerprint = meta(self.db, TEXT.fingerprint) or ""

    @property
    def db(self) -> sqlite3.Connection:
        """The calling thread's own read-only connection."""
        return self._connections.current

    @property
    def image_model(self) -> str:
        """Name of the embedder of its pictures, "" while it has none."""
        return meta(self.db, IMAGE.embedder) or ""

    @property
    def image_fingerprint(self) -> str:
        """Fingerprint of the embedder of its pictures, "" while it has none."""
        return meta(self.db, IMAGE.fingerprint) or ""

    def count(self) -> int:
        """Number of chunks."""
        return self.db.execute("SELECT count(*) FROM chunks").fetchone()[0]

    def nearest(self, query: np.ndarray, k: int, only: Filter | None = None, space: Space = TEXT) -> Hits:
        """The k chunks of a space nearest to query (d,), as (row, inner product), best first."""
        allowed = None
        if only is not None:
            sql, values = only.sql()
            allowed = np.fromiter((row[0] for row in self.db.execute(sql, values)), np.int64)
        return self._vectors[space.name].nearest(self.db, query, k, allowed)

    def matching(self, expression: str, k: int, only: Filter | None = None) -> Hits:
        """The k best chunks that match an FTS5 expression, as (row, BM25 score), best first; higher is better."""
        sql = f"SELECT rowid, -bm25(fulltext, {WEIGHTS}) AS score FROM fulltext WHERE fulltext MATCH ?"
        values: list[object] = [expression]
        if only is not None:
            inner, more = only.sql()
            sql, values = f"{sql} AND rowid IN ({inner})", [*values, *more]
        return self.db.execute(f"{sql} ORDER BY score DESC, rowid LIMIT ?", [*values, k]).fetchall()

    def chunks(self, ids: Sequence[int]) -> dict[int, Chunk]:
        """row -> chunk; a row that was removed meanwhile is left out."""
        marks = ",".join("?" * len(ids))
        rows = self.db.execute(
            f"""SELECT chunks.id, chunk_id, name, page, start, end, chunks.modality, headings, text, boxes, picture
            FROM chunks JOIN documents ON documents.id = document WHERE chunks.id IN ({marks})""", list(ids)
        )
        return {row[0]: _chunk(row) for row in rows}

    def table_of(self, chunk_id: str, most: int) -> list[Chunk]:
        """All chunks of the table that a chunk is of, in order: those of its page under the same headings.

        [] of a table with more than `most`: a part of one must not be taken for the whole.
        """
        rows = self.db.execute(
            """SELECT chunks.id, chunks.chunk_id, name, chunks.page, chunks.start, chunks.end, chunks.modality,
            chunks.headings, chunks.text, chunks.boxes, chunks.picture
            FROM chunks JOIN documents ON documents.id = chunks.document JOIN chunks AS own ON own.chunk_id = ?
            WHERE chunks.document = own.document AND chunks.modality = own.modality AND chunks.headings = own.headings
            AND chunks.page IS own.page ORDER BY chunks.start LIMIT ?""", (chunk_id, most + 1)
        ).fetchall()
        return [_chunk(row) for row in rows] if len(rows) <= most else []

    def word_counts(self, words: Sequence[str]) -> dict[str, int]:
        """word -> number of chunks that hold it, stemmed as the full text is. Openings of documents do not count."""
        sql = "SELECT count(*) FROM fulltext WHERE fulltext MATCH ?"
        column_filter = "{name headings text}"
        return {word: self.db.execute(sql, (f"{column_filter} : {quote(word)}",)).fetchone()[0] for word in words}


def quote(word: str) -> str:
    """A word as an FTS5 string, whatever characters it holds."""
    return '"' + re.sub(r'["\0]', " ", word) + '"'


def _chunk(row: tuple) -> Chunk:
    _, id, name, page, start, end, modality, headings, text, boxes, picture = row
    locator = Locator(name, page, start, end, unpack_boxes(boxes))
    return Chunk(id, text, locator, tuple(json.loads(headings)), Modality(modality), picture)
