"""The tables of store.sqlite, versioned: an index of another version is refused, never half-read."""

from __future__ import annotations

import sqlite3

VERSION = 3
FILE = "store.sqlite"

# chunks.id is never reused (AUTOINCREMENT): FAISS uses it as the id of the chunk's vector, and the largest id that a
# FAISS file covers is its epoch. In image_vectors a picture has the id of its first chunk. `removed` holds the ids that
# a FAISS file may still hold.
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,   -- absolute
    name TEXT NOT NULL UNIQUE,   -- as given to indexing
    stamp TEXT NOT NULL,         -- size, mtime, ctime; empty = read it again next time
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified REAL NOT NULL,      -- seconds since 1970
    status TEXT NOT NULL,        -- indexed | reading | failed
    reason TEXT NOT NULL DEFAULT '',
    indexed REAL NOT NULL
);

CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file INTEGER NOT NULL REFERENCES files(id),
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    opening TEXT NOT NULL,       -- its first words, which the full text of its later chunks carries
    format TEXT NOT NULL,
    modality TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX documents_file ON documents(file);

CREATE TABLE pages (             -- text is document.text from this page's start to the next one's
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,     -- 0 = the whole text of a document without pages
    start INTEGER NOT NULL,
    width REAL NOT NULL,
    height REAL NOT NULL,
    label TEXT NOT NULL,
    text TEXT NOT NULL,
    words BLOB,
    PRIMARY KEY (document, number)
) WITHOUT ROWID;

CREATE TABLE pictures (
    document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,     -- in its document, from 0
    page INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    preview BLOB NOT NULL,
    thumbnail BLOB NOT NULL,
    block INTEGER NOT NULL,      -- -1: the whole page
    PRIMARY KEY (document, number)
);

CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    chunk_id TEXT NOT NULL UNIQUE,
    document INTEGER NOT NULL REFERENCES documents(id),
    page INTEGER,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    modality TEXT NOT NULL,
    headings TEXT NOT NULL,      -- JSON list
    text TEXT NOT NULL,
    boxes BLOB NOT NULL,
    digest BLOB NOT NULL,        -- of the embedded text: equal texts are embedded once
    picture INTEGER              -- number of the picture that it belongs to
);
CREATE INDEX chunks_document ON chunks(document);
CREATE INDEX chunks_digest ON chunks(digest);

CREATE TABLE vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks(id), vector BLOB NOT NULL);
CREATE TABLE image_vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks(id), vector BLOB NOT NULL);
CREATE TABLE removed (space TEXT NOT NULL, chunk INTEGER NOT NULL, PRIMARY KEY (space, chunk)) WITHOUT ROWID;

CREATE VIRTUAL TABLE fulltext USING fts5(
    name, headings, text, opening, content='', tokenize='porter unicode61 remove_diacritics 2'
);
"""


def meta(db: sqlite3.Connection, key: str) -> str | None:
    """The value of a key in the table `meta`, None where it has none."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None
