"""The writing side of an index directory: its SQLite file, the one source of truth.

One process at a time holds the directory. One transaction per document is the only commit point.
Reading is `indexing.index`, which takes no lock of this.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from indexing.boxes import pack_boxes, pack_words
from indexing.stores import schema
from indexing.stores.connection import StoreError, check_version, connect
from indexing.stores.schema import meta
from indexing.stores.vector_spaces import IMAGE, SPACES, TEXT
from indexing.types import Chunk, Document

# Characters of a document that the full text of its later chunks carries: documents of one form often say only in
# their first lines which one they are.
OPENING = 300


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the index knows of a source file: a row of the table `files`, see schema.py."""

    id: int
    path: str  # absolute
    name: str  # as given to indexing
    stamp: str  # size, mtime, ctime; empty = read it again next time
    hash: str  # of its content, empty until it was read to its end
    size: int  # bytes
    modified: float  # seconds since 1970
    status: str  # indexed | reading | failed
    reason: str  # of a failure


class Store:
    """An index open for writing; a context manager.

    Raises StoreError when another indexing run holds the directory, or when it cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        from filelock import FileLock, Timeout

        self.directory = directory
        self._lock = FileLock(directory / "writer.lock")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise StoreError(f"another indexing run is writing {directory}: wait for it to end") from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StoreError(f"cannot write an index in {directory}: {reason}") from error
        try:
            for leftover in directory.glob("*.tmp"):  # of a run that was killed
                leftover.unlink(missing_ok=True)
            self.db = connect(directory / schema.FILE)
            self._create()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.db.close()
        self._lock.release()

    def _create(self) -> None:
        if self.db.execute("SELECT 1 FROM sqlite_master").fetchone():
            check_version(self.db, self.directory)
            return
        self.db.execute("PRAGMA journal_mode=WAL")
        with self.transaction():
            for statement in re.split(r";\s*\n(?=\n*CREATE|\s*$)", schema.TABLES):
                if statement.strip():
                    self.db.execute(statement)
            self.set_meta("version", str(schema.VERSION))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Also counts `changes`, by which open indexes notice that they must look again."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.set_meta("changes", str(int(self.meta("changes") or 0) + 1))
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # SQLite may have rolled back by itself, on a full disk for one
                self.db.execute("ROLLBACK")
            raise

    def meta(self, key: str) -> str | None:
        return meta(self.db, key)

    def set_meta(self, key: str, value: str) -> None:
        """Call inside a transaction."""
        sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
        self.db.execute(sql, (key, value))

    # files

    def files(self) -> dict[str, FileRecord]:
        return file_records(self.db)

    def put_file(
        self, path: str, name: str, *, stamp: str, hash: str, size: int, modified: float, status: str, reason: str = "",
    ) -> FileRecord:
        """Record a file's state. The name stays as first given; a name that another path holds becomes the path."""
        taken = self.db.execute("SELECT 1 FROM files WHERE name = ? AND path != ?", (name, path)).fetchone()
        row = self.db.execute(
            """INSERT INTO files (path, name, stamp, hash, size, modified, status, reason, indexed)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (path) DO UPDATE SET stamp = excluded.stamp, hash = excluded.hash, size = excluded.size,
            modified = excluded.modified, status = excluded.status, reason = excluded.reason, indexed = excluded.indexed
            RETURNING id, path, name, stamp, hash, size, modified, status, reason""",
            (path, path if taken else name, stamp, hash, size, modified, status, reason, time.time()),
        ).fetchone()
        return FileRecord(*row)

    def documents(self, file: int) -> dict[str, tuple[int, str]]:
        """name -> (id, hash) of the documents of a file."""
        rows = self.db.execute("SELECT name, id, hash FROM documents WHERE file = ?", (file,))
        return {name: (id, hash) for name, id, hash in rows}

    def count_documents(self) -> dict[int, int]:
        """file id -> number of its documents."""
        return dict(self.db.execute("SELECT file, count(*) FROM documents GROUP BY file"))

    # documents

    def vectors_of(self, digests: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """digest -> vector (dimension,) float32, for the texts of these digests that the store already has."""
        sql = "SELECT vector FROM chunks JOIN vectors ON vectors.chunk = chunks.id WHERE digest = ? LIMIT 1"
        found = {}
        for digest in set(digests):
            row = self.db.execute(sql, (digest,)).fetchone()
            if row:
                found[digest] = np.frombuffer(row[0], np.float32)
        return found

    def put_document(
        self, file: int, name: str, document: Document, hash: str, chunks: Sequence[Chunk], digests: Sequence[bytes],
        vectors: np.ndarray, image_vectors: Mapping[str, np.ndarray],
    ) -> None:
        """Add a document, or replace it, all in one transaction.

        digests: `text_digest` of each chunk's embedded text; vectors: (len(chunks), dimension) float32;
        image_vectors: chunk id -> vector of its picture. A chunk that the document already has is left as it is.
        """
        with self.transaction():
            opening = document.text[:OPENING]
            self._remove_chunks_under_another_opening(name, opening)
            row = (file, name, document.title, opening, document.format, document.modality.value, hash)
            (id,) = self.db.execute(
                """INSERT INTO documents (file, name, title, opening, format, modality, hash)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET file = excluded.file, title = excluded.title,
                opening = excluded.opening, format = excluded.format, modality = excluded.modality,
                hash = excluded.hash RETURNING id""", row
            ).fetchone()
            old = dict(self.db.execute("SELECT chunk_id, id FROM chunks WHERE document = ?", (id,)))
            for chunk, digest, vector in zip(chunks, digests, vectors, strict=True):
                row_id = old.pop(chunk.id, None)
                if row_id is None:
                    self._add_chunk(id, chunk, digest, vector, image_vectors.get(chunk.id))
                else:  # the same text at the same offset may be elsewhere on its page
                    place = (pack_boxes(chunk.locator.boxes), chunk.picture, row_id)
                    self.db.execute("UPDATE chunks SET boxes = ?, picture = ? WHERE id = ?", place)
            self._remove_chunks(old.values())
            self._put_pages(id, document)

    def owner(self, name: str) -> int | None:
        """The id of the file that the document of this name belongs to."""
        row = self.db.execute("SELECT file FROM documents WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def remove_document(self, id: int) -> None:
        """Call inside a transaction."""
        rows = self.db.execute("SELECT id FROM chunks WHERE document = ?", (id,))
        self._remove_chunks([row[0] for row in rows])
        self.db.execute("DELETE FROM documents WHERE id = ?", (id,))

    def remove_file(self, file: int) -> int:
        """Remove a file with all its documents. Returns their number."""
        with self.transaction():
            documents = self.documents(file)
            for id, _ in documents.values():
                self.remove_document(id)
            self.db.execute("DELETE FROM files WHERE id = ?", (file,))
        return len(documents)

    def _remove_chunks_under_another_opening(self, name: str, opening: str) -> None:
        """Remove the chunks of a document whose full text carries another opening than the document has now."""
        rows = self.db.execute(
            """SELECT chunks.id FROM chunks JOIN documents ON documents.id = document
            WHERE name = ? AND substr(opening, 1, start) != substr(?, 1, start)""", (name, opening)
        )
        self._remove_chunks([row[0] for row in rows])

    def _add_chunk(
        self, document: int, chunk: Chunk, digest: bytes, vector: np.ndarray, image_vector: np.ndarray | None
    ) -> None:
        at = chunk.locator
        row = self.db.execute(
            """INSERT INTO chunks
            (chunk_id, document, page, start, end, modality, headings, text, boxes, digest, picture)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (chunk.id, document, at.page, at.char_start, at.char_end, chunk.modality.value,
             json.dumps(chunk.headings, ensure_ascii=False), chunk.text, pack_boxes(at.boxes), digest, chunk.picture),
        ).lastrowid
        for space, values in ((TEXT, vector), (IMAGE, image_vector)):
            if values is not None:
                blob = values.astype(np.float32).tobytes()
                self.db.execute(f"INSERT INTO {space.table} VALUES (?, ?)", (row, blob))
        sql = "INSERT INTO fulltext (rowid, name, headings, text, opening) VALUES (?, ?, ?, ?, ?)"
        self.db.execute(sql, (row, *self._full_text(row)))

    def _remove_chunks(self, ids: Iterable[int]) -> None:
        sql = "INSERT INTO fulltext (fulltext, rowid, name, headings, text, opening) VALUES ('delete', ?, ?, ?, ?, ?)"
        for id in list(ids):
            # a contentless FTS5 table deletes a row only when given the very values that were inserted
            self.db.execute(sql, (id, *self._full_text(id)))
            for space in SPACES:
                if self.db.execute(f"DELETE FROM {space.table} WHERE chunk = ?", (id,)).rowcount:
                    self.db.execute("INSERT INTO removed VALUES (?, ?)", (space.name, id))
            self.db.execute("DELETE FROM chunks WHERE id = ?", (id,))

    def _full_text(self, id: int) -> tuple[str, str, str, str]:
        """The columns of a chunk in `fulltext`: name, headings, text, and the document's opening up to the chunk."""
        name, file_name, headings, text, opening, start = self.db.execute(
            """SELECT documents.name, files.name, headings, text, opening, start
            FROM chunks JOIN documents ON documents.id = document JOIN files ON files.id = file
            WHERE chunks.id = ?""", (id,)
        ).fetchone()
        return file_words(name, file_name), " › ".join(json.loads(headings)), text, opening[:start]

    def _put_pages(self, id: int, document: Document) -> None:
        self.db.execute("DELETE FROM pages WHERE document = ?", (id,))
        self.db.execute("DELETE FROM pictures WHERE document = ?", (id,))
        ends = [page.start for page in document.pages[1:]] + [len(document.text)]
        rows = [
            (id, page.number, page.start, page.width, page.height, page.label, document.text[page.start : end],
             pack_words(page.words))
            for page, end in zip(document.pages, ends, strict=False)
        ] or [(id, 0, 0, 0.0, 0.0, "", document.text, None)]
        self.db.executemany("INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.db.executemany(
            "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (id, number, p.page, p.width, p.height, p.preview, p.thumbnail, p.block)
                for number, p in enumerate(document.pictures)
            ],
        )


def file_records(db: sqlite3.Connection) -> dict[str, FileRecord]:
    """Every known file by its absolute path."""
    rows = db.execute("SELECT id, path, name, stamp, hash, size, modified, status, reason FROM files")
    return {row[1]: FileRecord(*row) for row in rows}


def file_words(document: str, file: str) -> str:
    """The words of a document's file name, for the full text: `trip-2019_beach.jpg` is found by trip, 2019, beach.

    A record inside a file has none.
    """
    return re.sub(r"[\W_]+", " ", PurePath(file).name) if document.rstrip("~") == file.rstrip("~") else ""


def text_digest(text: str) -> bytes:
    """Names an embedded text: equal texts are embedded once."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
