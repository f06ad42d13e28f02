"""Dynamic batching: concurrent questions share one forward pass of the reader, first come, first served.

In: windows (models.reader.sequences.Sequences) from many threads. Out: to each thread the outputs of its own windows.
A batch holds the request that waits longest and other requests of similar length. The queue is bounded, and a
cancelled request leaves it. Knows nothing of questions, passages or answers. On two cores one question fills the
machine and batching gains nothing: `python -m bench.systems batching`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields

import numpy as np

from models.common.errors import FolioError
from models.reader.extractive_reader import BATCH
from models.reader.sequences import Sequences
from models.reader.types import Compute, Computed

# Limits that were chosen, not fitted.
MAX_ROWS = 2 * BATCH  # windows in one batch
MAX_WAITING = 64  # requests in the queue
LENGTH_RATIO = 1.25  # between the longest, or the shortest, request of a batch and its first one
POLL = 0.05  # seconds between two checks for cancellation

_cancel: ContextVar[threading.Event | None] = ContextVar("cancel", default=None)


class QueueFull(FolioError):
    """MAX_WAITING requests are waiting already."""


class Cancelled(FolioError):
    """The caller cancelled the request while it waited."""


@contextmanager
def cancelled_by(event: threading.Event) -> Iterator[None]:
    """Requests of this block leave the queue, and raise Cancelled, once `event` is set."""
    token = _cancel.set(event)
    try:
        yield
    finally:
        _cancel.reset(token)


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    rows: Sequences
    result: Future[Computed] = field(default_factory=Future)


class DynamicBatcher:
    """A Compute for many threads at once, around one that is called by a single thread at a time."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._queue: deque[_Request] = deque()
        self._lock = threading.Lock()
        self._running = False

    def __call__(self, rows: Sequences) -> Computed:
        """Waits for its turn. Raises QueueFull, Cancelled, and whatever `compute` raises."""
        request, cancel = _Request(rows), _cancel.get()
        with self._lock:
            if len(self._queue) >= MAX_WAITING:
                raise QueueFull(f"{MAX_WAITING} questions are waiting already: ask again in a moment")
            self._queue.append(request)
            start, self._running = not self._running, True
        if start:
            threading.Thread(target=self._run, daemon=True, name="reader").start()
        while True:
            try:
                return request.result.result(None if cancel is None else POLL)
            except NotYet:
                if cancel is not None and cancel.is_set():
                    self._drop(request)
                    raise Cancelled("the question was cancelled") from None

    def keep(self, rows: Sequences) -> None:
        """See models.reader.onnx_encoder.Encoder.keep."""
        self._compute.keep(rows)

    def _drop(self, request: _Request) -> None:
        with self._lock:
            if request in self._queue:
                self._queue.remove(request)

    def _run(self) -> None:
        """Serve batches until the queue is empty."""
        while batch := self._next_batch():
            try:
                computed = self._compute(concatenated([request.rows for request in batch]))
                parts = split(computed, [request.rows for request in batch])
                for request, part in zip(batch, parts, strict=True):
                    request.result.set_result(part)
            except BaseException as error:  # it is raised in every thread of the batch
                for request in batch:
                    if not request.result.done():
                        request.result.set_exception(error)

    def _next_batch(self) -> list[_Request]:
        """The oldest request and those of similar length; empty, and the thread ends, when nothing waits."""
        with self._lock:
            batch: list[_Request] = []
            count = 0
            for request in list(self._queue):
                rows, width = request.rows.input_ids.shape
                first = batch[0].rows.input_ids.shape[1] if batch else width
                similar = first / LENGTH_RATIO <= width <= first * LENGTH_RATIO
                if not batch or (count + rows <= MAX_ROWS and similar):
                    batch.append(request)
                    count += rows
                    self._queue.remove(request)
            self._running = bool(batch)
            return batch


def concatenated(parts: Sequence[Sequences]) -> Sequences:
    """The rows of several requests as one batch, padded with zeros to the longest row."""
    width = max(part.input_ids.shape[1] for part in parts)

    def padded(name: str, array: np.ndarray) -> np.ndarray:
        missing = 0 if name == "patches" else width - array.shape[1]  # every image has the same number of patches
        return np.pad(array, [(0, 0), (0, missing), *[(0, 0)] * (array.ndim - 2)])

    names = [one.name for one in fields(Sequences)]
    return Sequences(*(np.concatenate([padded(name, getattr(part, name)) for part in parts]) for name in names))


def split(computed: Computed, parts: Sequence[Sequences]) -> Iterator[Computed]:
    """The outputs for concatenated rows, cut into those of each request, without the padding."""
    first = 0
    for part in parts:
        count, width = part.input_ids.shape
        own = Computed(*(values if values is None else values[first : first + count] for values in computed))
        states = None if own.states is None else own.states[:, :width]
        yield own._replace(spans=own.spans[:, :width], states=states)
        first += count
