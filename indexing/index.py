"""Reading an index: vectors, full text, chunks, pages. Many threads at once; takes no lock that an indexer waits for.

What an indexer commits meanwhile is seen by the next search: chunks newer than the FAISS file are searched by brute
force and merged, removed ones are left out.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexing.boxes import boxes_of, unpack_boxes, unpack_words, words_within
from indexing.filters import Filter
from indexing.stores import schema
from indexing.stores.schema import meta
from indexing.stores.sqlite import FileRecord, StoreError, check_version, connect, file_records
from indexing.stores.vector_spaces import IMAGE, SPACES, TEXT, Hits, Space, SpaceReader
from indexing.types import Box, Chunk, Locator, Modality, Page, Picture

WEIGHTS = "1.0, 1.0, 1.0, 0.5"  # of name, headings, text, opening in BM25; the last one measured: bench/README.md


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


class Index:
    """Raises StoreError when `directory` holds no index, or one of another format."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        if not (self.directory / schema.FILE).exists():
            raise StoreError(f"no index in {directory}: make one with `python -m indexing SRC --index {directory}`")
        self._local = threading.local()
        self._spaces = {space.name: SpaceReader(self.directory, space) for space in SPACES}
        check_version(self._db, self.directory)
        self.embedder_name = meta(self._db, "embedder") or ""
        self.fingerprint = meta(self._db, "fingerprint") or ""

    @property
    def image_model(self) -> str:
        """Name of the embedder of its pictures, "" while it has none."""
        return meta(self._db, IMAGE.embedder) or ""

    @property
    def image_fingerprint(self) -> str:
        return meta(self._db, IMAGE.fingerprint) or ""

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's own connection."""
        if not hasattr(self._local, "db"):
            self._local.db = connect(self.directory / schema.FILE, read_only=True)
        return self._local.db

    # search

    def count(self) -> int:
        return self._db.execute("SELECT count(*) FROM chunks").fetchone()[0]

    def nearest(self, query: np.ndarray, k: int, only: Filter | None = None, space: Space = TEXT) -> Hits:
        """The chunks of a space nearest to query (d,), by inner product."""
        allowed = None
        if only is not None:
            sql, values = only.sql()
            allowed = np.fromiter((row[0] for row in self._db.execute(sql, values)), np.int64)
        return self._spaces[space.name].nearest(self._db, query, k, allowed)

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
            f"""SELECT chunks.id, chunk_id, name, page, start, end, chunks.modality, headings, text, boxes, picture
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

    def word_boxes(self, at: Locator, *, recognised: bool = False) -> tuple[tuple[int, int, float, float, float, float], ...]:
        """The words of a chunk with their boxes, see indexing.boxes.words_within; none where its page has no places. recognised: only such as were read off a picture."""
        found = self.page(at.document, at.page) if at.page is not None else None
        words = found[0].words if found else None
        return words_within(words, at.char_start, at.char_end) if words and (words.confidence is not None or not recognised) else ()

    def picture(self, chunk_id: str) -> Picture | None:
        """The picture that a chunk belongs to."""
        row = self._db.execute(
            """SELECT pictures.page, width, height, preview, thumbnail, block, boxes FROM chunks JOIN pictures
            ON pictures.document = chunks.document AND pictures.number = chunks.picture WHERE chunk_id = ?""", (chunk_id,)
        ).fetchone()
        if row is None:
            return None
        boxes = unpack_boxes(row[6])
        return Picture(*row[:6], boxes[0] if row[5] >= 0 and boxes else None)

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


def quote(word: str) -> str:
    """A word as an FTS5 string, whatever it holds."""
    return '"' + re.sub(r'["\0]', " ", word) + '"'


def _chunk(row: tuple) -> Chunk:
    _, id, name, page, start, end, modality, headings, text, boxes, picture = row
    return Chunk(id, text, Locator(name, page, start, end, unpack_boxes(boxes)), tuple(json.loads(headings)), Modality(modality), picture)
