"""`build` as an iterator, for user interfaces that show progress."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from indexing.build.run import Progress, Summary, build


class _Abandoned(Exception):
    """The iterator was closed: ends the build between two files."""


def follow(
    sources: Sequence[str | os.PathLike[str]], index_dir: str | os.PathLike[str], **options: Any
) -> Iterator[Progress | Summary]:
    """Each Progress of a build, then its Summary. options and errors: those of `build`.

    Closing the iterator stops the build after the file that it is at. What was committed stays, and the next build
    goes on from there.
    """
    events: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
    abandoned = threading.Event()

    def report(progress: Progress) -> None:
        if abandoned.is_set():
            raise _Abandoned
        events.put(progress)

    pool = ThreadPoolExecutor(1)
    building = pool.submit(build, sources, index_dir, progress=report, **options)
    building.add_done_callback(lambda _: events.put(None))
    try:
        while (event := events.get()) is not None:
            yield event
        yield building.result()
    finally:
        abandoned.set()
        pool.shutdown(wait=False)  # an iterator may be closed on an event loop, which must not wait
