"""Files -> index: incremental, resumable. Every document is committed on its own; what is committed is never half."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from indexing.boxes import pack_words
from indexing.build.image_embedding import PictureEmbedding
from indexing.build.sources import Source, find, look
from indexing.build.upkeep import update_ann
from indexing.build.workers import QUIET, Failed, Finished, Loaded, read_all
from indexing.chunking import chunk, embedding_text
from indexing.embedder import Embedder, check_fingerprint, open_embedder, other_embedder
from indexing.loaders.text.decode import clean
from indexing.stores.sqlite import FileRecord, Store, file_words, text_digest
from indexing.types import Chunk, Document
from models.common import minilm

BATCH = 256  # chunks embedded at once; at most so many are lost when the run is killed


@dataclass(frozen=True, slots=True)
class Failure:
    path: str
    reason: str


@dataclass(slots=True)
class Summary:
    """What a run did, counted in documents. `chunks` are all that the index holds now."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    note: str = ""  # what was done otherwise than asked

    def to_json(self) -> dict[str, object]:
        counts = {name: getattr(self, name) for name in ("added", "changed", "unchanged", "removed")}
        failures = [{"path": failure.path, "reason": failure.reason} for failure in self.failures]
        return {"documents": {**counts, "failed": len(failures)}, "chunks": self.chunks, "seconds": round(self.seconds, 3), "failures": failures}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `name` is the file that was just read; `chunks` are committed."""

    files: int
    of: int
    documents: int
    chunks: int
    name: str


def build(
    sources: Sequence[str | os.PathLike[str]],
    index_dir: str | os.PathLike[str],
    *,
    embedder: str | None = None,
    image_model: str | None = None,
    prune: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    quiet: float = QUIET,
    download: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Bring the index up to date with the sources.

    embedder: a name for `open_embedder`; image_model: one for `open_image_embedder`; None = the index's own, or the default. prune: forget files below the sources
    that are gone. dry_run: only say what would be done, file by file. quiet: seconds without a sign of life after which
    a file is given up. download: fetch models from a hub that are not on this machine. Raises SourceError, StoreError, EmbedderError; a file that fails is in the summary instead.
    """
    started = time.monotonic()
    directory = Path(index_dir)
    found = list(find(sources))
    if dry_run:
        summary = _rehearse(directory, found, sources, prune)
    else:
        with Store(directory) as store:
            run = _Run(store, embedder, image_model, download, progress)
            run.update(found, workers or max(1, (os.cpu_count() or 2) // 2), quiet)
            if prune:
                run.prune(found, sources)
            update_ann(store)
            summary = run.summary
            (summary.chunks,) = store.db.execute("SELECT count(*) FROM chunks").fetchone()
    summary.seconds = time.monotonic() - started
    return summary


@dataclass(slots=True)
class _Pending:
    """A document that waits to be embedded and committed."""

    task: int
    name: str
    document: Document
    hash: str
    chunks: list[Chunk]


class _Run:
    """One run of build over an open store. The embedder is opened when the first text needs it."""

    def __init__(
        self, store: Store, embedder: str | None, image_model: str | None, download: bool,
        progress: Callable[[Progress], None],
    ) -> None:
        self.store, self.summary = store, Summary()
        self._pictures = PictureEmbedding(store, image_model, download)
        self._download = download
        self._progress = progress
        self._embedder: Embedder | None = None
        self._name = embedder or store.meta("embedder") or minilm.NAME
        recorded = store.meta("embedder")
        if recorded and self._name != recorded:
            raise other_embedder(store.directory, recorded, self._name)
        if not recorded:
            self._open_embedder()
        self._files: list[tuple[Source, FileRecord | None]] = []
        self._known: dict[int, dict[str, tuple[int, str]]] = {}  # task -> documents that the index had
        self._seen: dict[int, set[str]] = {}  # task -> documents read in this run
        self._queue: list[_Pending | Finished | Failed] = []
        self._waiting_names: dict[str, int] = {}  # name -> file of the documents in the queue
        self._waiting = self._done = self._written = 0

    def update(self, found: list[Source], workers: int, quiet: float) -> None:
        records, counts = self.store.files(), self.store.count_documents()
        for source in found:
            record = records.get(source.path)
            if source.problem:
                self._fail(source, record, source.problem, passing=True)
            elif record and record.stamp == source.stamp and record.status == "indexed":
                self.summary.unchanged += counts.get(record.id, 0)
            elif record and record.stamp == source.stamp and record.status == "failed":
                self.summary.failures.append(Failure(source.name, record.reason))
            else:
                self._files.append((source, record))
        self._report("")
        known = [(source.path, record.hash if record and record.status == "indexed" else "") for source, record in self._files]
        for event in read_all(known, workers, quiet):
            if isinstance(event, Loaded):
                self._receive(event)
            else:
                self._queue.append(event)
                self._done += 1
                self._report(self._files[event.task][0].name)
            if self._waiting >= BATCH or not self._waiting:
                self._flush()
        self._flush()

    def prune(self, found: list[Source], sources: Sequence[str | os.PathLike[str]]) -> None:
        for record in vanished(self.store.files().values(), found, sources):
            self.summary.removed += self.store.remove_file(record.id)

    def _receive(self, event: Loaded) -> None:
        source, record = self._files[event.task]
        if event.task not in self._known:
            name, before = (record.name, record.hash) if record else (source.name, "")
            record = self.store.put_file(source.path, name, stamp="", hash="", size=source.size, modified=source.modified, status="reading")
            self._files[event.task] = (source, replace(record, hash=before))
            self._known[event.task] = self.store.documents(record.id)
            self._seen[event.task] = set()
        document = _storable(event.document)
        name = self._document_name(record, document.key)
        hash = _document_hash(document)
        known = self._known[event.task].get(name)
        if name in self._seen[event.task]:
            return  # a second record of the same id: the first one stands
        self._seen[event.task].add(name)
        if known and known[1] == hash:
            self.summary.unchanged += 1
            return
        self.summary.changed += known is not None
        self.summary.added += known is None
        embedder = self._open_embedder()
        chunks = chunk(document, name, embedder.count_tokens, embedder.max_tokens)
        self._queue.append(_Pending(event.task, name, document, hash, chunks))
        self._waiting += max(1, len(chunks))

    def _document_name(self, record: FileRecord, key: str) -> str:
        """The name of a document of this file. A file may be called as a record of another one is: a.jsonl#1."""
        name = f"{record.name}#{key}" if key else record.name
        while (self._waiting_names.get(name) or self.store.owner(name) or record.id) != record.id:
            name += "~"
        self._waiting_names[name] = record.id
        return name

    def _flush(self) -> None:
        """Embed all that waits in one go, then commit it document by document, in the order it came."""
        pending = [item for item in self._queue if isinstance(item, _Pending)]
        texts = [
            embedding_text(chunk, file_words(item.name, self._files[item.task][1].name)) for item in pending for chunk in item.chunks
        ]
        digests = [text_digest(text) for text in texts]
        vectors = self._embed(texts, digests)
        pictured = self._pictures.embed([(item.document, item.chunks) for item in pending])
        self.summary.note = self._pictures.note
        at = 0
        for item in self._queue:
            if isinstance(item, _Pending):
                _, record = self._files[item.task]
                end = at + len(item.chunks)
                self.store.put_document(record.id, item.name, item.document, item.hash, item.chunks, digests[at:end], vectors[at:end], pictured)
                self._written += end - at
                at = end
            else:
                self._end(item)
        self._queue, self._waiting, self._waiting_names = [], 0, {}

    def _embed(self, texts: list[str], digests: list[bytes]) -> np.ndarray:
        if not texts:
            return np.empty((0, 0), np.float32)
        vectors = self.store.vectors_of(digests)
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in vectors}
        if new:
            vectors.update(zip(new, self._open_embedder().encode_documents(list(new.values())), strict=True))
        return np.stack([vectors[digest] for digest in digests])

    def _end(self, event: Finished | Failed) -> None:
        source, record = self._files[event.task]
        if isinstance(event, Failed):
            self._fail(source, record, event.reason, event.passing)
        else:
            name = record.name if record else source.name
            # a file that changed while it was read is read again by the next run, whatever was seen of it now
            steady = look(source.name, source.path).stamp == source.stamp
            record = self.store.put_file(
                source.path, name, stamp=source.stamp if steady else "", hash=event.hash if steady else "", size=source.size,
                modified=source.modified, status="indexed",
            )
            if event.same:
                self.summary.unchanged += len(self.store.documents(record.id))
            else:
                self._forget_unseen(event.task, record.id)

    def _forget_unseen(self, task: int, file: int) -> None:
        """Documents that the file held before and holds no more."""
        gone = [id for name, (id, _) in self.store.documents(file).items() if name not in self._seen.get(task, set())]
        if gone:
            with self.store.transaction():
                for id in gone:
                    self.store.remove_document(id)
        self.summary.removed += len(gone)

    def _fail(self, source: Source, record: FileRecord | None, reason: str, passing: bool) -> None:
        """Record a failure. What an earlier run read of the file stays searchable, and the reason says so."""
        if record and record.hash:
            reason += " (what was read of it before stays searchable)"
        self.store.put_file(
            source.path, record.name if record else source.name, stamp="" if passing else source.stamp, hash="",
            size=source.size, modified=source.modified, status="failed", reason=reason,
        )
        self.summary.failures.append(Failure(source.name, reason))

    def _report(self, name: str) -> None:
        self._progress(Progress(self._done, len(self._files), self.summary.added + self.summary.changed, self._written, name))

    def _open_embedder(self) -> Embedder:
        if self._embedder is None:
            self._embedder = open_embedder(self._name, download=self._download)
            check_fingerprint(self.store.directory, self.store.meta("fingerprint"), self._embedder)
            if not self.store.meta("fingerprint"):
                with self.store.transaction():
                    self.store.set_meta("embedder", self._embedder.name)
                    self.store.set_meta("fingerprint", self._embedder.fingerprint)
                    self.store.set_meta("dimension", str(self._embedder.dimension))
        return self._embedder


def vanished(records: Iterator[FileRecord], found: list[Source], sources: Sequence[str | os.PathLike[str]]) -> list[FileRecord]:
    """The known files below the sources that are no longer there."""
    roots = [os.path.abspath(source) for source in sources]  # noqa: PTH100  (as in sources.py)
    there = {source.path for source in found}
    return [
        record for record in records
        if record.path not in there and not os.path.lexists(record.path)
        and any(Path(record.path).is_relative_to(root) for root in roots)
    ]


def _rehearse(directory: Path, found: list[Source], sources: Sequence[str | os.PathLike[str]], prune: bool) -> Summary:
    """What build would do, told by size and times alone; opens no file and writes nothing."""
    from indexing.index import IndexReader

    summary, files = Summary(), {}
    if (directory / "store.sqlite").exists():
        reader = IndexReader(directory)
        files, summary.chunks = reader.records(), reader.count()
    for source in found:
        record = files.get(source.path)
        if source.problem:
            summary.failures.append(Failure(source.name, source.problem))
        elif record is None:
            summary.added += 1
        elif record.stamp != source.stamp:
            summary.changed += 1
        elif record.status == "failed":
            summary.failures.append(Failure(source.name, record.reason))
        else:
            summary.unchanged += 1
    summary.removed = len(vanished(files.values(), found, sources)) if prune else 0
    return summary


def _storable(document: Document) -> Document:
    """The document without what SQLite's text cannot hold; one character for one, so that offsets stay true."""
    return replace(document, text=clean(document.text), title=clean(document.title), key=clean(document.key))


def _document_hash(document: Document) -> str:
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
