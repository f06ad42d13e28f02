"""Documents and ends of files -> the store. Embedded in batches, committed one document a transaction, in order."""

from __future__ import annotations

from indexing.build.image_embedding import ImageEmbedding
from indexing.build.receive import FileTask, PendingDocument
from indexing.build.sources import look
from indexing.build.summary import Failure, Summary
from indexing.build.text_embedding import TextEmbedding
from indexing.build.workers import Failed, Finished
from indexing.chunking import embedding_text
from indexing.stores.sqlite import Store, file_words

BATCH = 256  # chunks embedded at once; at most so many are lost when the run is killed


class Committer:
    """Counts removed documents, failures and notes in the summary. `chunks`: committed so far."""

    def __init__(self, store: Store, texts: TextEmbedding, images: ImageEmbedding, summary: Summary) -> None:
        self._store, self._texts, self._images, self._summary = store, texts, images, summary
        self._queue: list[PendingDocument | tuple[FileTask, Finished | Failed]] = []
        self._waiting = 0  # chunks in the queue
        self.chunks = 0

    @property
    def due(self) -> bool:
        """Whether to flush now: a batch is full, or no document waits."""
        return self._waiting >= BATCH or not self._waiting

    def add(self, pending: PendingDocument) -> None:
        self._queue.append(pending)
        self._waiting += max(1, len(pending.chunks))

    def end(self, task: FileTask, event: Finished | Failed) -> None:
        """A file's end, to be recorded after its documents."""
        self._queue.append((task, event))

    def flush(self) -> None:
        """Embed all documents that wait, then commit documents and ends of files in the order they came."""
        pending = [item for item in self._queue if isinstance(item, PendingDocument)]
        texts: list[str] = []
        for item in pending:
            name = file_words(item.name, item.task.record.name)
            texts += [embedding_text(chunk, name) for chunk in item.chunks]
        digests, vectors = self._texts.embed(texts)
        image_vectors = self._images.embed([(item.document, item.chunks) for item in pending])
        self._summary.note = self._images.note
        start = 0
        for item in self._queue:
            if isinstance(item, PendingDocument):
                end = start + len(item.chunks)
                self._store.put_document(
                    item.task.record.id, item.name, item.document, item.hash, item.chunks, digests[start:end],
                    vectors[start:end], image_vectors,
                )
                self.chunks += len(item.chunks)
                start = end
            else:
                self._end(*item)
        self._queue, self._waiting = [], 0

    def fail(self, task: FileTask, reason: str, passing: bool) -> None:
        """Record a failure. What an earlier run read of the file stays searchable, and the reason says so.

        passing: for a cause that may be gone next time, so that the next run tries again.
        """
        source, record = task.source, task.record
        if record and record.hash:
            reason += " (what was read of it before stays searchable)"
        self._store.put_file(
            source.path, record.name if record else source.name, stamp="" if passing else source.stamp, hash="",
            size=source.size, modified=source.modified, status="failed", reason=reason,
        )
        self._summary.failures.append(Failure(source.name, reason))

    def _end(self, task: FileTask, event: Finished | Failed) -> None:
        if isinstance(event, Failed):
            self.fail(task, event.reason, event.passing)
            return
        source = task.source
        # a file that changed while it was read is read again by the next run
        steady = look(source.name, source.path).stamp == source.stamp
        record = self._store.put_file(
            source.path, task.record.name if task.record else source.name, stamp=source.stamp if steady else "",
            hash=event.hash if steady else "", size=source.size, modified=source.modified, status="indexed",
        )
        if event.same:
            self._summary.unchanged += len(self._store.documents(record.id))
        else:
            self._remove_unread(task, record.id)

    def _remove_unread(self, task: FileTask, file: int) -> None:
        """Remove the documents that the file held before and holds no more."""
        gone = [id for name, (id, _) in self._store.documents(file).items() if name not in task.read]
        if gone:
            with self._store.transaction():
                for id in gone:
                    self._store.remove_document(id)
        self._summary.removed += len(gone)
