"""Reading an index: vectors, full text, chunks, pages. Many threads at once; takes no lock that an indexer waits for.

What an indexer commits meanwhile is seen by the next search: chunks newer than the FAISS file are searched by brute
force and merged, removed ones are left out.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing import schema
from indexing.boxes import boxes_of, unpack_boxes, unpack_words, words_within
from indexing.filters import Filter
from indexing.store import FileRecord, StoreError, check_version, connect, file_records, meta
from indexing.types import Box, Chunk, Locator, Modality, Page, Picture

if TYPE_CHECKING:
    from indexing.ann import Ann

BATCH = 20_000  # vectors read at once
WEIGHTS = "1.0, 1.0, 1.0, 0.5"  # of name, headings, text, opening in BM25; the last one measured: bench/README.md

Hits = list[tuple[int, float]]  # (chunk row, score), best first


@dataclass(frozen=True, slots=True)
class _Vectors:
    """All vectors at one state of the store: the FAISS part, what is newer, what is gone."""

    changes: str | None
    ann: Ann
    tail_ids: np.ndarray  # (n,) int64, ascending
    tail: np.ndarray  # (n, d) float32
    removed: np.ndarray  # (m,) int64


@dataclass(frozen=True, slots=True)
class FileStatus:
    """A source file as the library shows it."""

    name: str
    path: str
    status: str
    reason: str
    documents: int
    chunks: int
    format: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Status:
    """All that an index holds, in numbers and file by file."""

    index: str
    embedder: str
    fingerprint: str
    documents: int
    chunks: int
    failed: int  # files
    files: tuple[FileStatus, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class IndexReader:
    """Raises StoreError when `directory` holds no index, or one of another format."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        if not (self.directory / schema.FILE).exists():
            raise StoreError(f"no index in {directory}: make one with `python -m indexing SRC --index {directory}`")
        self._local = threading.local()
        self._refresh = threading.Lock()
        self._vectors: _Vectors | None = None
        check_version(self._db, self.directory)
        self.embedder_name = meta(self._db, "embedder") or ""
        self.fingerprint = meta(self._db, "fingerprint") or ""
        self.dimension = int(meta(self._db, "dimension") or 0)

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's own connection."""
        if not hasattr(self._local, "db"):
            self._local.db = connect(self.directory / schema.FILE, read_only=True)
        return self._local.db

    # search

    def count(self) -> int:
        return self._db.execute("SELECT count(*) FROM chunks").fetchone()[0]

    def nearest(self, query: np.ndarray, k: int, only: Filter | None = None) -> Hits:
        """The chunks nearest to query (d,), by inner product."""
        if not self.dimension:
            return []  # nothing was ever embedded
        state = self._state()
        allowed = None
        if only is not None:
            sql, values = only.sql()
            allowed = np.fromiter((row[0] for row in self._db.execute(sql, values)), np.int64)
        ids, scores = state.ann.search(query, k, allowed=allowed, removed=state.removed)
        if len(state.tail_ids):
            keep = np.ones(len(state.tail_ids), bool) if allowed is None else np.isin(state.tail_ids, allowed)
            ids = np.concatenate([ids, state.tail_ids[keep]])
            scores = np.concatenate([scores, state.tail[keep] @ query])
        best = np.lexsort((ids, -scores))[:k]
        return list(zip(ids[best].tolist(), scores[best].tolist(), strict=True))

    def matching(self, expression: str, k: int, only: Filter | None = None) -> Hits:
        """The chunks that match an FTS5 expression, by BM25 (higher is better)."""
        sql, values = f"SELECT rowid, -bm25(fulltext, {WEIGHTS}) AS score FROM fulltext WHERE fulltext MATCH ?", [expression]
        if only is not None:
            inner, more = only.sql()
            sql, values = f"{sql} AND rowid IN ({inner})", [*values, *more]
        return self._db.execute(f"{sql} ORDER BY score DESC, rowid LIMIT ?", [*values, k]).fetchall()

    def chunks(self, ids: Sequence[int]) -> dict[int, Chunk]:
        """The chunks of these rows; a row that is gone by now is left out."""
        marks = ",".join("?" * len(ids))
        rows = self._db.execute(
            f"""SELECT chunks.id, chunk_id, name, page, start, end, chunks.modality, headings, text, boxes
            FROM chunks JOIN documents ON documents.id = document WHERE chunks.id IN ({marks})""", list(ids)
        )
        return {row[0]: _chunk(row) for row in rows}

    def word_counts(self, words: Sequence[str]) -> dict[str, int]:
        """In how many chunks each word stands, stemmed as the full text is. What their document opens with does not count."""
        sql = "SELECT count(*) FROM fulltext WHERE fulltext MATCH ?"
        return {word: self._db.execute(sql, (f"{{name headings text}} : {quote(word)}",)).fetchone()[0] for word in words}

    def opening(self, document: str) -> str:
        """The first words of a document, "" of one that is not there."""
        row = self._db.execute("SELECT opening FROM documents WHERE name = ?", (document,)).fetchone()
        return row[0] if row else ""

    # documents

    def text(self, document: str) -> str:
        """The whole text of a document; every locator's offsets count in it."""
        rows = self._db.execute("SELECT pages.text FROM pages JOIN documents ON documents.id = document WHERE name = ? ORDER BY number", (document,))
        return "".join(row[0] for row in rows)

    def page(self, document: str, number: int | None) -> tuple[Page, str] | None:
        """A page with its text, or the whole text where a document has no pages (number None)."""
        row = self._db.execute(
            """SELECT number, start, width, height, label, pages.text, words FROM pages JOIN documents ON documents.id = document
            WHERE name = ? AND number = ?""", (document, number or 0)
        ).fetchone()
        if row is None:
            return None
        page = Page(row[0], row[1], row[1] + len(row[5]), row[2], row[3], row[4], unpack_words(row[6]))
        return page, row[5]

    def boxes(self, document: str, number: int | None, start: int, end: int) -> tuple[Box, ...]:
        """The boxes of a span on its page; none where the format has no boxes."""
        found = self.page(document, number) if number is not None else None
        return boxes_of(found[0].words, start, end) if found and found[0].words else ()

    def word_boxes(self, at: Locator) -> tuple[tuple[int, int, float, float, float, float], ...]:
        """The words of a chunk that were read off a picture, with their boxes, see indexing.boxes.words_within; else none."""
        found = self.page(at.document, at.page) if at.page is not None else None
        return words_within(found[0].words, at.char_start, at.char_end) if found and found[0].words and found[0].words.confidence is not None else ()

    def picture(self, document: str, page: int | None) -> Picture | None:
        row = self._db.execute(
            """SELECT page, width, height, preview, thumbnail FROM pictures JOIN documents ON documents.id = document
            WHERE name = ? AND page = ?""", (document, page or 1)
        ).fetchone()
        return Picture(*row) if row else None

    def source(self, document: str) -> Path | None:
        """Where the file of a document was when it was indexed."""
        row = self._source(document)
        return Path(row[0]) if row else None

    def unchanged_source(self, document: str) -> Path | None:
        """The file of a document, while it still is what was indexed, by its size and date; None when it is gone or another."""
        row = self._source(document)
        try:
            found = Path(row[0]).stat() if row else None
        except OSError:
            return None
        return Path(row[0]) if found and (found.st_size, found.st_mtime) == row[1:] else None

    def _source(self, document: str) -> tuple[str, int, float] | None:
        sql = "SELECT path, size, modified FROM files JOIN documents ON documents.file = files.id WHERE documents.name = ?"
        return self._db.execute(sql, (document,)).fetchone()

    def records(self) -> dict[str, FileRecord]:
        """Every known file by its absolute path."""
        return file_records(self._db)

    def files(self) -> list[FileStatus]:
        rows = self._db.execute(
            """SELECT files.name, path, status, reason, count(DISTINCT documents.id), count(chunks.id),
            coalesce(min(documents.format), ''), size, modified FROM files LEFT JOIN documents ON documents.file = files.id
            LEFT JOIN chunks ON chunks.document = documents.id GROUP BY files.id ORDER BY files.name"""
        )
        return [FileStatus(*row) for row in rows]

    def status(self) -> Status:
        files = tuple(self.files())
        documents, chunks = sum(file.documents for file in files), sum(file.chunks for file in files)
        failed = sum(file.status == "failed" for file in files)
        return Status(str(self.directory), self.embedder_name, self.fingerprint, documents, chunks, failed, files)

    # vectors

    def _state(self) -> _Vectors:
        changes = meta(self._db, "changes")
        state = self._vectors
        if state is None or state.changes != changes:
            with self._refresh:
                if self._vectors is None or self._vectors.changes != changes:
                    self._vectors = self._load(self._vectors)
                state = self._vectors
        return state

    def _load(self, old: _Vectors | None) -> _Vectors:
        from indexing import ann

        found = ann.newest(self.directory)
        current = old.ann if old else None
        if found and (current is None or found[0] > current.epoch):
            current = ann.load(found[1], self.dimension) or current
        db = self._db
        db.execute("BEGIN")  # one state of the store for all that is read
        try:
            changes = meta(db, "changes")
            (last,) = db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()
            newest_id = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'chunks'").fetchone()[0]
            if current is None or current.epoch > newest_id:  # missing, damaged, or of a store that is no more
                current = self._rebuild(db, last)
            batches = list(vector_batches(db, newest_id, self.dimension, after=current.epoch))
            tail_ids = np.concatenate([ids for ids, _ in batches]) if batches else np.empty(0, np.int64)
            tail = np.concatenate([vectors for _, vectors in batches]) if batches else np.empty((0, self.dimension), np.float32)
            removed = np.fromiter((row[0] for row in db.execute("SELECT chunk FROM removed")), np.int64)
        finally:
            db.execute("COMMIT")
        return _Vectors(changes, current, tail_ids, tail, removed)

    def _rebuild(self, db: sqlite3.Connection, last: int) -> Ann:
        from indexing import ann

        (count,) = db.execute("SELECT count(*) FROM vectors").fetchone()
        rebuilt = ann.build(lambda: vector_batches(db, last, self.dimension), count, self.dimension, last)
        if count:
            try:
                ann.save(self.directory, rebuilt)
            except (OSError, RuntimeError):  # a directory that cannot be written still answers, only slower to open
                return rebuilt
        return rebuilt


def vector_batches(db: sqlite3.Connection, last: int, dimension: int, after: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids, vectors) of all chunks of the rows after `after` up to `last`, in order."""
    cursor = db.execute("SELECT chunk, vector FROM vectors WHERE chunk > ? AND chunk <= ? ORDER BY chunk", (after, last))
    while rows := cursor.fetchmany(BATCH):
        vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(len(rows), dimension)
        yield np.array([row[0] for row in rows], np.int64), vectors


def quote(word: str) -> str:
    """A word as an FTS5 string, whatever it holds."""
    return '"' + re.sub(r'["\0]', " ", word) + '"'


def _chunk(row: tuple) -> Chunk:
    _, id, name, page, start, end, modality, headings, text, boxes = row
    return Chunk(id, text, Locator(name, page, start, end, unpack_boxes(boxes)), tuple(json.loads(headings)), Modality(modality))
