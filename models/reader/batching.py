"""Questions that are asked at the same time are read together: one queue before the reader.

First come, first served, whatever else is waiting; with the one that is served go those of like length. The queue is bounded, and who gives up is dropped from it.
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
from models.reader.sequences import Sequences
from models.reader.types import Compute, Computed

ROWS = 32  # windows that are read at once
WAITING = 64  # askers
ALIKE = 1.25  # times the length of the first one: what is read with it is at most so much longer or shorter
LOOK_AGAIN = 0.05  # seconds between two looks at whether the asker gave up

_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


class Busy(FolioError):
    """More askers than there is room for."""


class GivenUp(FolioError):
    """The asker did."""


@contextmanager
def given_up_by(event: threading.Event) -> Iterator[None]:
    """What is asked within is dropped from the queue once the event is set, and raises GivenUp."""
    token = _given_up.set(event)
    try:
        yield
    finally:
        _given_up.reset(token)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    rows: Sequences
    made: Future[Computed] = field(default_factory=Future)


class Together:
    """A Compute for many threads at once. `compute` is called by one thread at a time."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._queue: deque[_Asked] = deque()
        self._lock = threading.Lock()
        self._works = False

    def __call__(self, rows: Sequences) -> Computed:
        """Raises Busy and GivenUp."""
        mine, gone = _Asked(rows), _given_up.get()
        with self._lock:
            if len(self._queue) >= WAITING:
                raise Busy(f"{WAITING} questions are waiting already: ask again in a moment")
            self._queue.append(mine)
            begin, self._works = not self._works, True
        if begin:
            threading.Thread(target=self._work, daemon=True, name="reader").start()
        while True:
            try:
                return mine.made.result(None if gone is None else LOOK_AGAIN)
            except NotYet:
                if gone is not None and gone.is_set():
                    self._drop(mine)
                    raise GivenUp("the question was given up") from None

    def keep(self, rows: Sequences) -> None:
        """See models.reader.onnx_encoder.Encoder.keep."""
        self._compute.keep(rows)

    def _drop(self, asked: _Asked) -> None:
        with self._lock:
            if asked in self._queue:
                self._queue.remove(asked)

    def _work(self) -> None:
        """Until nobody waits."""
        while chosen := self._next():
            try:
                made = self._compute(joined([one.rows for one in chosen]))
                for one, part in zip(chosen, parted(made, [one.rows for one in chosen]), strict=True):
                    one.made.set_result(part)
            except BaseException as error:  # each asker hears of it
                for one in chosen:
                    if not one.made.done():
                        one.made.set_exception(error)

    def _next(self) -> list[_Asked]:
        """The one that waits longest and what goes with it; none ends the work."""
        with self._lock:
            chosen: list[_Asked] = []
            count = 0
            for one in list(self._queue):
                rows, width = one.rows.input_ids.shape
                first = chosen[0].rows.input_ids.shape[1] if chosen else width
                if not chosen or (count + rows <= ROWS and first / ALIKE <= width <= first * ALIKE):
                    chosen.append(one)
                    count += rows
                    self._queue.remove(one)
            self._works = bool(chosen)
            return chosen


def joined(parts: Sequence[Sequences]) -> Sequences:
    """Rows of several askers as one, padded to the longest."""
    width = max(part.input_ids.shape[1] for part in parts)

    def whole(name: str) -> np.ndarray:
        arrays = [getattr(part, name) for part in parts]
        longer = [0 if name == "patches" else width - one.shape[1] for one in arrays]  # a picture has as many patches as any other
        return np.concatenate([np.pad(one, [(0, 0), (0, more), *[(0, 0)] * (one.ndim - 2)]) for one, more in zip(arrays, longer, strict=True)])

    return Sequences(*(whole(one.name) for one in fields(Sequences)))


def parted(made: Computed, parts: Sequence[Sequences]) -> Iterator[Computed]:
    """What was made of joined rows, for each asker."""
    first = 0
    for part in parts:
        count, width = part.input_ids.shape
        mine = slice(first, first + count)
        one = Computed(*(values if values is None else values[mine] for values in made))
        yield one._replace(spans=one.spans[:, :width], states=None if one.states is None else one.states[:, :width])
        first += count
