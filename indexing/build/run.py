"""Files -> index: incremental and resumable. Plan what to read, receive it from the workers, commit it, prune.

Every document is committed on its own; a document is in the index whole or not at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from indexing.build.commit import Committer
from indexing.build.image_embedding import ImageEmbedding
from indexing.build.plan import Plan, failure_of, plan, rehearse, vanished
from indexing.build.receive import FileTask, Receiver
from indexing.build.sources import Source, find
from indexing.build.summary import Progress, Summary
from indexing.build.text_embedding import TextEmbedding
from indexing.build.upkeep import update_ann
from indexing.build.workers import QUIET, Loaded, read_all
from indexing.index import Index
from indexing.stores.schema import FILE
from indexing.stores.sqlite import FileRecord, Store, file_records

Report = Callable[[Progress], None]


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
    progress: Report = lambda _: None,
) -> Summary:
    """Bring the index up to date with the sources.

    embedder: a name for `open_embedder`; image_model: one for `open_image_embedder`; None: the index's own, or the
    default. prune: remove files below the sources that are gone. dry_run: only say what would be done, file by file.
    workers: processes that read files; None: half of the cores. quiet: seconds without a sign of life after which a
    file is given up. download: fetch models from a hub that are not on this machine. Raises SourceError, StoreError,
    EmbedderError; a file that fails is in the summary instead.
    """
    started = time.monotonic()
    directory = Path(index_dir)
    found = list(find(sources))
    if dry_run:
        summary = _dry_run(directory, found, sources, prune)
    else:
        with Store(directory) as store:
            summary = Summary()
            images, texts = ImageEmbedding(store, image_model, download), TextEmbedding(store, embedder, download)
            work, counts = plan(found, store.files()), store.count_documents()
            summary.unchanged = sum(counts.get(record.id, 0) for record in work.unchanged)
            receiver, committer = Receiver(store, texts, summary), Committer(store, texts, images, summary)
            _read(work, receiver, committer, summary, workers or max(1, (os.cpu_count() or 2) // 2), quiet, progress)
            if prune:
                gone = vanished(store.files().values(), found, sources)
                summary.removed += sum(store.remove_file(record.id) for record in gone)
            update_ann(store)
            (summary.chunks,) = store.db.execute("SELECT count(*) FROM chunks").fetchone()
    summary.seconds = time.monotonic() - started
    return summary


def _read(
    work: Plan, receiver: Receiver, committer: Committer, summary: Summary, workers: int, quiet: float, progress: Report
) -> None:
    """Read the files of a plan and commit what they hold."""
    for source, record in work.failed:
        if source.problem:
            committer.fail(FileTask(source, record), source.problem, passing=True)
        else:
            summary.failures.append(failure_of(source, record))
    tasks = [FileTask(source, record) for source, record in work.to_read]
    ended = 0

    def report(name: str) -> None:
        progress(Progress(ended, len(tasks), summary.added + summary.changed, committer.chunks, name))

    report("")
    for event in read_all([(task.source.path, _known_hash(task.record)) for task in tasks], workers, quiet):
        task = tasks[event.task]
        if isinstance(event, Loaded):
            if pending := receiver.receive(task, event.document):
                committer.add(pending)
        else:
            committer.end(task, event)
            ended += 1
            report(task.source.name)
        if committer.due:
            committer.flush()
            receiver.committed()
    committer.flush()


def _known_hash(record: FileRecord | None) -> str:
    """Of a file's content, where all of it is in the index; else ""."""
    return record.hash if record and record.status == "indexed" else ""


def _dry_run(
    directory: Path, found: Sequence[Source], sources: Sequence[str | os.PathLike[str]], prune: bool
) -> Summary:
    """What `build` would do; opens no source and writes nothing."""
    if not (directory / FILE).exists():
        return rehearse({}, found, sources, prune)
    index = Index(directory)
    summary = rehearse(file_records(index.db), found, sources, prune)
    summary.chunks = index.count()
    return summary
