"""Reads files in worker processes, so that a file that hangs, crashes or eats memory costs only itself.

In: (path, known hash) of each file. Out: events, in order for each file. The parent starts
`python -m indexing.build.workers` and gives it one file at a time. Knows nothing of an index.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexing.build import messages
from indexing.build.processes import MEMORY, Worker, serve
from indexing.types import Document, LoadError

QUIET = 60.0  # seconds without a sign of life after which a reader is stopped
WAITING = 8  # events that may wait for the parent before the readers pause


@dataclass(frozen=True, slots=True)
class Task:
    """Read file number `task`, unless its content still has the hash `known`."""

    task: int
    path: str
    known: str


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life during long work."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One document of file number `task`."""

    task: int
    document: Document


@dataclass(frozen=True, slots=True)
class Finished:
    """File `task` was read to its end; `same` when its content is what the index already has."""

    task: int
    hash: str
    same: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """File `task` could not be read. `passing`: for a cause that may be gone next time."""

    task: int
    reason: str
    passing: bool = False


Event = Loaded | Finished | Failed


class _Reader:
    """A worker process and the thread that listens to it."""

    def __init__(self, events: queue.Queue) -> None:
        self._worker = Worker("indexing.build.workers")
        self.task: int | None = None
        self.quiet = 0.0
        self._events = events
        self._stopped = False
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, task: int, path: str, known: str) -> None:
        self.task, self.quiet = task, 0.0
        self._worker.send(Task(task, path, known))

    def _listen(self) -> None:
        while not self._stopped:
            event = self._worker.receive((Loaded, Finished, Failed, Alive))
            self._events.put((self, event))
            if event is None:
                return

    def stop(self) -> None:
        self._stopped = True
        self._worker.stop()

    def cause_of_death(self) -> str:
        return f"its reader {self._worker.cause_of_death()}"


def read_all(files: Sequence[tuple[str, str]], workers: int, quiet: float = QUIET) -> Iterator[Event]:
    """The events of reading files, given as (path, known hash); a file's events are in order, files interleave."""
    events: queue.Queue = queue.Queue(WAITING)
    waiting = iter(enumerate(files))
    readers: set[_Reader] = set()

    def give(reader: _Reader) -> bool:
        task = next(waiting, None)
        if task is None:
            reader.stop()
            readers.discard(reader)
            return False
        reader.send(task[0], *task[1])
        return True

    try:
        for _ in range(min(workers, len(files))):
            reader = _Reader(events)
            readers.add(reader)
            give(reader)
        while readers:
            started = time.monotonic()
            try:
                reader, event = events.get(timeout=1.0)
            except queue.Empty:
                # counted only while the parent waits, so that a busy parent never stops a reader
                for reader in list(readers):
                    reader.quiet += time.monotonic() - started
                    if reader.quiet > quiet:
                        yield Failed(reader.task, f"no progress for {quiet:.0f} s: given up", passing=True)
                        _replace(reader, readers, events, give)
                continue
            if reader not in readers:
                continue  # the last words of one that was stopped
            reader.quiet = 0.0
            if isinstance(event, Event) and event.task != reader.task:
                reader.stop()  # a parser was taken over: it speaks of a file that it was not given
                event = None
            if event is None:
                yield Failed(reader.task, reader.cause_of_death(), passing=True)
                _replace(reader, readers, events, give)
            elif not isinstance(event, Alive):
                if not isinstance(event, Loaded):
                    give(reader)
                yield event
    finally:
        for reader in readers:
            reader.stop()


def _replace(reader: _Reader, readers: set[_Reader], events: queue.Queue, give: Callable[[_Reader], bool]) -> None:
    reader.stop()
    readers.discard(reader)
    fresh = _Reader(events)
    readers.add(fresh)
    give(fresh)


def _serve() -> None:
    """The worker's side: until the pipe ends, read a file and send what it holds."""
    requests, out = serve()
    last = time.monotonic()

    def send(event: Event | Alive) -> None:
        nonlocal last
        messages.write(out, event)
        last = time.monotonic()

    def alive() -> None:
        if time.monotonic() - last > 1.0:
            send(Alive())

    while True:
        try:
            given = messages.read(requests, (Task,))
        except EOFError:
            return
        try:
            _read(given, send, alive)
        except LoadError as error:
            send(Failed(given.task, str(error)))
        except FileNotFoundError:
            send(Failed(given.task, "vanished before it could be read", passing=True))
        except OSError as error:
            send(Failed(given.task, (error.strerror or str(error)).lower(), passing=True))
        except MemoryError:
            send(Failed(given.task, f"needs more than {MEMORY >> 30} GB of memory to read"))
        except messages.TooLarge:
            send(Failed(given.task, f"holds more than {messages.LARGEST >> 30} GB"))


def _read(given: Task, send: Callable[[Event], None], alive: Callable[[], None]) -> None:
    path = Path(given.path)
    if given.known and hash_file(path, alive) == given.known:
        send(Finished(given.task, given.known, same=True))
        return
    from indexing.loaders import load

    for document in load(path, alive):
        send(Loaded(given.task, document))
    send(Finished(given.task, hash_file(path, alive)))


def hash_file(path: Path, alive: Callable[[], None] = lambda: None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            alive()
    return digest.hexdigest()


if __name__ == "__main__":
    _serve()
