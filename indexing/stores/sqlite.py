"""The one source of truth: an index directory's SQLite file, opened for writing by one process at a time.

One transaction per document is the only commit point. Reading is `reader.py`, which takes no lock of this.
"""

from __future__ import annotations

import hashlib
import json
import os
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
from indexing.stores.schema import meta
from indexing.stores.vector_spaces import IMAGE, SPACES, TEXT
from indexing.types import Chunk, Document, FolioError

OPENING = 300  # characters: documents of one form often say only in their first lines which one they are


class StoreError(FolioError):
    """An index that cannot be opened or used as asked."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the index knows of a source file."""

    id: int
    path: str
    name: str
    stamp: str
    hash: str
    size: int
    modified: float
    status: str
    reason: str


class Store:
    """Open with `Store.open`; a context manager. Raises StoreError when another indexing run holds the directory."""

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
            raise StoreError(f"cannot write an index in {directory}: {(error.strerror or str(error)).lower()}") from error
        try:
            for left in directory.glob("*.tmp"):  # by a run that was killed
                left.unlink(missing_ok=True)
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
        self.db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value))

    # files

    def files(self) -> dict[str, FileRecord]:
        """Every known file by its absolute path."""
        return file_records(self.db)

    def put_file(self, path: str, name: str, *, stamp: str, hash: str, size: int, modified: float, status: str, reason: str = "") -> FileRecord:
        """Record a file's state. The name is kept as first given; a name that another path holds becomes the path."""
        taken = self.db.execute("SELECT 1 FROM files WHERE name = ? AND path != ?", (name, path)).fetchone()
        row = self.db.execute(
            """INSERT INTO files (path, name, stamp, hash, size, modified, status, reason, indexed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
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
        """The vectors that the store already has for texts of these digests."""
        found = {}
        for digest in set(digests):
            row = self.db.execute("SELECT vector FROM chunks JOIN vectors ON vectors.chunk = chunks.id WHERE digest = ? LIMIT 1", (digest,)).fetchone()
            if row:
                found[digest] = np.frombuffer(row[0], np.float32)
        return found

    def put_document(
        self, file: int, name: str, document: Document, hash: str, chunks: Sequence[Chunk], digests: Sequence[bytes], vectors: np.ndarray,
        pictured: Mapping[str, np.ndarray],
    ) -> None:
        """Add a document, or replace it, all in one transaction.

        vectors: (len(chunks), dimension) float32; pictured: chunk id -> vector of its picture. A chunk that the document already has is left as it is.
        """
        with self.transaction():
            opening = document.text[:OPENING]
            self._forget_another_opening(name, opening)
            row = (file, name, document.title, opening, document.format, document.modality.value, hash)
            (id,) = self.db.execute(
                """INSERT INTO documents (file, name, title, opening, format, modality, hash) VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET file = excluded.file, title = excluded.title, opening = excluded.opening,
                format = excluded.format, modality = excluded.modality, hash = excluded.hash RETURNING id""", row
            ).fetchone()
            old = dict(self.db.execute("SELECT chunk_id, id FROM chunks WHERE document = ?", (id,)))
            for chunk, digest, vector in zip(chunks, digests, vectors, strict=True):
                kept = old.pop(chunk.id, None)
                if kept is None:
                    self._add_chunk(id, chunk, digest, vector, pictured.get(chunk.id))
                else:  # the same text in the same place of the document may stand elsewhere on its page
                    self.db.execute("UPDATE chunks SET boxes = ?, picture = ? WHERE id = ?", (pack_boxes(chunk.locator.boxes), chunk.picture, kept))
            self._remove_chunks(old.values())
            self._put_pages(id, document)

    def owner(self, name: str) -> int | None:
        """The file that the document of this name belongs to."""
        row = self.db.execute("SELECT file FROM documents WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def remove_document(self, id: int) -> None:
        """Call inside a transaction."""
        self._remove_chunks([row[0] for row in self.db.execute("SELECT id FROM chunks WHERE document = ?", (id,))])
        self.db.execute("DELETE FROM documents WHERE id = ?", (id,))

    def remove_file(self, file: int) -> int:
        """Forget a file and all its documents; how many these were."""
        with self.transaction():
            documents = self.documents(file)
            for id, _ in documents.values():
                self.remove_document(id)
            self.db.execute("DELETE FROM files WHERE id = ?", (file,))
        return len(documents)

    def _forget_another_opening(self, name: str, opening: str) -> None:
        """Remove the chunks of a document whose full text carries another opening than it has now."""
        rows = self.db.execute(
            """SELECT chunks.id FROM chunks JOIN documents ON documents.id = document
            WHERE name = ? AND substr(opening, 1, start) != substr(?, 1, start)""", (name, opening)
        )
        self._remove_chunks([row[0] for row in rows])

    def _add_chunk(self, document: int, chunk: Chunk, digest: bytes, vector: np.ndarray, pictured: np.ndarray | None) -> None:
        at = chunk.locator
        cursor = self.db.execute(
            "INSERT INTO chunks (chunk_id, document, page, start, end, modality, headings, text, boxes, digest, picture) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (chunk.id, document, at.page, at.char_start, at.char_end, chunk.modality.value,
             json.dumps(chunk.headings, ensure_ascii=False), chunk.text, pack_boxes(at.boxes), digest, chunk.picture),
        )
        for space, values in ((TEXT, vector), (IMAGE, pictured)):
            if values is not None:
                self.db.execute(f"INSERT INTO {space.table} VALUES (?, ?)", (cursor.lastrowid, values.astype(np.float32).tobytes()))
        self.db.execute(
            "INSERT INTO fulltext (rowid, name, headings, text, opening) VALUES (?, ?, ?, ?, ?)", (cursor.lastrowid, *self._full_text(cursor.lastrowid))
        )

    def _remove_chunks(self, ids: Iterable[int]) -> None:
        for id in list(ids):
            # a contentless FTS5 table takes a row out only when it is told the very words that went in
            self.db.execute(
                "INSERT INTO fulltext (fulltext, rowid, name, headings, text, opening) VALUES ('delete', ?, ?, ?, ?, ?)", (id, *self._full_text(id))
            )
            for space in SPACES:
                if self.db.execute(f"DELETE FROM {space.table} WHERE chunk = ?", (id,)).rowcount:
                    self.db.execute("INSERT INTO removed VALUES (?, ?)", (space.name, id))
            self.db.execute("DELETE FROM chunks WHERE id = ?", (id,))

    def _full_text(self, id: int) -> tuple[str, str, str, str]:
        """What the full text holds of a chunk: name, headings, text, and of the document's opening what stands before it."""
        name, file_name, headings, text, opening, start = self.db.execute(
            """SELECT documents.name, files.name, headings, text, opening, start FROM chunks JOIN documents ON documents.id = document
            JOIN files ON files.id = file WHERE chunks.id = ?""", (id,)
        ).fetchone()
        return file_words(name, file_name), " › ".join(json.loads(headings)), text, opening[:start]

    def _put_pages(self, id: int, document: Document) -> None:
        self.db.execute("DELETE FROM pages WHERE document = ?", (id,))
        self.db.execute("DELETE FROM pictures WHERE document = ?", (id,))
        ends = [page.start for page in document.pages[1:]] + [len(document.text)]
        rows = [
            (id, page.number, page.start, page.width, page.height, page.label, document.text[page.start : end], pack_words(page.words))
            for page, end in zip(document.pages, ends, strict=False)
        ] or [(id, 0, 0, 0.0, 0.0, "", document.text, None)]
        self.db.executemany("INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.db.executemany(
            "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(id, number, p.page, p.width, p.height, p.preview, p.thumbnail, p.block) for number, p in enumerate(document.pictures)],
        )


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit, so that every transaction is written out. Raises StoreError when it is no database."""
    try:
        mode = "mode=ro" if read_only else "mode=rwc"
        if read_only and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-shm").exists():
            mode = "immutable=1"  # nobody can write there, and SQLite cannot make the file that it shares with writers
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, timeout=30, check_same_thread=False)
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA synchronous=NORMAL")  # a WAL survives a killed process whole; a power cut may lose the last documents, never half of one
        db.execute("PRAGMA mmap_size=1073741824")  # rows are read where the page cache has them
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be opened as an index ({error}): index its sources again into a new directory") from error
    return db


def check_version(db: sqlite3.Connection, directory: Path) -> None:
    try:
        version = meta(db, "version")
    except sqlite3.OperationalError:
        version = None
    if version != str(schema.VERSION):
        raise StoreError(
            f"{directory} holds an index of format {version}, this Folio reads format {schema.VERSION}: index its sources again into a new directory"
        )


def file_records(db: sqlite3.Connection) -> dict[str, FileRecord]:
    rows = db.execute("SELECT id, path, name, stamp, hash, size, modified, status, reason FROM files")
    return {row[1]: FileRecord(*row) for row in rows}


def file_words(document: str, file: str) -> str:
    """The words of a document's file name, for the full text: `trip-2019_beach.jpg` is found by trip, 2019, beach.

    A record inside a file has none.
    """
    return re.sub(r"[\W_]+", " ", PurePath(file).name) if document.rstrip("~") == file.rstrip("~") else ""


def text_digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
