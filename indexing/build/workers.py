"""Reads files in processes of their own, so that a file that hangs, crashes or eats memory costs only itself.

The parent starts `python -m indexing.build.workers`, sends (path, known hash) and receives events, as pickles over pipes that
only these two hold. (Not multiprocessing: its children import the user's script again.)
"""

from __future__ import annotations

import hashlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexing.types import Document, LoadError

MEMORY = 6 << 30  # bytes of address space that reading one file may take
QUIET = 60.0  # seconds without a sign of life after which a reader is stopped
WAITING = 8  # events that may wait for the parent before the readers pause


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
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "indexing.build.workers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self.task: int | None = None
        self.quiet = 0.0
        self._events = events
        self._stopped = False
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, task: int, path: str, known: str) -> None:
        self.task, self.quiet = task, 0.0
        try:
            pickle.dump((task, path, known), self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:  # it died just now; the listener says so
            return

    def _listen(self) -> None:
        while not self._stopped:
            try:
                event = pickle.load(self._process.stdout)  # from our own child, over a pipe of our own
            except (EOFError, pickle.UnpicklingError):
                event = None  # the process is gone
            self._events.put((self, event))
            if event is None:
                return

    def stop(self) -> None:
        self._stopped = True
        self._process.kill()
        self._process.wait()

    def cause_of_death(self) -> str:
        code = self._process.wait()
        return f"its reader crashed (signal {-code})" if code < 0 else f"its reader ended early (code {code})"


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
            if event is None:
                yield Failed(reader.task, reader.cause_of_death(), passing=True)
                _replace(reader, readers, events, give)
            elif event != "alive":
                if not isinstance(event, Loaded):
                    give(reader)
                yield event
    finally:
        for reader in readers:
            reader.stop()


def _replace(reader: _Reader, readers: set[_Reader], events: queue.Queue, give) -> None:
    reader.stop()
    readers.discard(reader)
    fresh = _Reader(events)
    readers.add(fresh)
    give(fresh)


def _serve() -> None:
    """The worker's side: until the pipe ends, read a file and send what it holds."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not fall among the events
    _limit_memory()
    last = time.monotonic()

    def send(event: Event | str) -> None:
        nonlocal last
        pickle.dump(event, out, protocol=pickle.HIGHEST_PROTOCOL)
        out.flush()
        last = time.monotonic()

    def alive() -> None:
        if time.monotonic() - last > 1.0:
            send("alive")

    while True:
        try:
            task, path, known = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if known and hash_file(Path(path), alive) == known:
                send(Finished(task, known, same=True))
                continue
            from indexing.loaders import load

            for document in load(Path(path), alive):
                send(Loaded(task, document))
            send(Finished(task, hash_file(Path(path), alive)))
        except LoadError as error:
            send(Failed(task, str(error)))
        except FileNotFoundError:
            send(Failed(task, "vanished before it could be read", passing=True))
        except OSError as error:
            send(Failed(task, (error.strerror or str(error)).lower(), passing=True))
        except MemoryError:
            send(Failed(task, f"needs more than {MEMORY >> 30} GB of memory to read"))


def hash_file(path: Path, alive=lambda: None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            alive()
    return digest.hexdigest()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    # under its own name, so that both sides pickle the same classes
    from indexing.build.workers import _serve as serve

    serve()
