"""The tables of store.sqlite. Versioned: another version is refused by name, never half-read."""

VERSION = 2
FILE = "store.sqlite"

# chunks.id is never reused (AUTOINCREMENT), so it can stand for the chunk in FAISS, and the largest id that a FAISS
# file covers is its epoch. `removed` holds the ids that a FAISS file may still carry.
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
    page INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    preview BLOB NOT NULL,
    thumbnail BLOB NOT NULL,
    PRIMARY KEY (document, page)
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
    digest BLOB NOT NULL         -- of the embedded text: equal texts are embedded once
);
CREATE INDEX chunks_document ON chunks(document);
CREATE INDEX chunks_digest ON chunks(digest);

CREATE TABLE vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks(id), vector BLOB NOT NULL);
CREATE TABLE removed (chunk INTEGER PRIMARY KEY);

CREATE VIRTUAL TABLE fulltext USING fts5(name, headings, text, opening, content='', tokenize='porter unicode61 remove_diacritics 2');
"""
