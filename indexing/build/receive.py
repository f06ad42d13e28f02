"""What the workers read of a file -> documents to commit: named, compared with what the index has, chunked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from indexing.boxes import pack_words
from indexing.build.sources import Source
from indexing.build.summary import Summary
from indexing.build.text_embedding import TextEmbedding
from indexing.chunking import chunk
from indexing.loaders.decode import clean
from indexing.stores.sqlite import FileRecord, Store
from indexing.types import Chunk, Document


@dataclass(slots=True)
class FileTask:
    """A file while it is read."""

    source: Source
    record: FileRecord | None  # what the index knows of it
    known: dict[str, tuple[int, str]] | None = None  # documents that the index had: name -> (id, hash); None: not begun
    read: set[str] = field(default_factory=set)  # names of the documents read in this run


@dataclass(frozen=True, slots=True)
class PendingDocument:
    """A new or changed document that waits to be embedded and committed."""

    task: FileTask
    name: str
    document: Document
    hash: str
    chunks: list[Chunk]


class Receiver:
    """Counts added, changed and unchanged documents in the summary."""

    def __init__(self, store: Store, texts: TextEmbedding, summary: Summary) -> None:
        self._store, self._texts, self._summary = store, texts, summary
        self._owners: dict[str, int] = {}  # document name -> file id, of documents received since the last commit

    def receive(self, task: FileTask, document: Document) -> PendingDocument | None:
        """None for a document that the index has already, or whose name this file has used before."""
        if task.known is None:
            self._begin(task)
        document = _storable(document)
        name = self._name(task.record, document.key)
        if name in task.read:
            return None  # a second record of the same id: the first one is indexed
        task.read.add(name)
        known, hash = task.known.get(name), _document_hash(document)
        if known and known[1] == hash:
            self._summary.unchanged += 1
            return None
        self._summary.changed += known is not None
        self._summary.added += known is None
        embedder = self._texts.open()
        chunks = chunk(document, name, embedder.count_tokens, embedder.max_tokens)
        return PendingDocument(task, name, document, hash, chunks)

    def committed(self) -> None:
        """All that was received is in the store now, which knows the owners of names."""
        self._owners.clear()

    def _begin(self, task: FileTask) -> None:
        """Record that the file is being read: should the run be killed, the next one reads it again."""
        source, before = task.source, task.record
        record = self._store.put_file(
            source.path, before.name if before else source.name, stamp="", hash="", size=source.size,
            modified=source.modified, status="reading",
        )
        task.record = replace(record, hash=before.hash if before else "")
        task.known = self._store.documents(record.id)

    def _name(self, record: FileRecord, key: str) -> str:
        """The name of a document of this file. A file may be called as a record of another one is: a.jsonl#1."""
        name = f"{record.name}#{key}" if key else record.name
        while (self._owners.get(name) or self._store.owner(name) or record.id) != record.id:
            name += "~"
        self._owners[name] = record.id
        return name


def _storable(document: Document) -> Document:
    """The document without what SQLite's text cannot hold; one character for one, so that offsets stay true."""
    return replace(document, text=clean(document.text), title=clean(document.title), key=clean(document.key))


def _document_hash(document: Document) -> str:
    """Of all that is stored of a document: another hash means that it has changed."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (document.title, document.text, repr(document.blocks), document.modality):
        digest.update(part.encode())
    for page in document.pages:
        digest.update(repr((page.number, page.width, page.height, page.label)).encode())
        digest.update(pack_words(page.words) or b"")
    for picture in document.pictures:
        digest.update(picture.preview)
        digest.update(picture.thumbnail)
    return digest.hexdigest()
