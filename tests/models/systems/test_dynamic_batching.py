"""Dynamic batching: the same answers, in turn, and no caller waits for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexing.build.run import build
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.reader.image_patches import PATCHES, WIDTH, Picture
from models.reader.sequences import PATCH, Parts, Sequences, collate
from models.reader.types import Computed
from models.systems import dynamic_batching
from models.systems.dynamic_batching import Cancelled, DynamicBatcher, QueueFull, cancelled_by
from rag.calibration import calibration
from rag.generators import Resources, open_generator
from rag.pipeline import RagPipeline


def rows(count: int, length: int, seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    return collate([Parts(rng.integers(2000, 9000, 4), [], rng.integers(2000, 9000, length)) for _ in range(count)])


class Slow:
    """Adds up each row, and remembers how many rows came at once."""

    def __init__(self) -> None:
        self.open, self.seen, self.busy = threading.Event(), [], 0

    def __call__(self, asked: Sequences) -> Computed:
        assert self.busy == 0
        self.busy += 1
        self.open.wait(5)
        self.seen.append(asked.input_ids.shape)
        sums = (asked.input_ids * asked.attention_mask).sum(1)
        self.busy -= 1
        if (sums == 0).any():
            raise ValueError("nothing to read")
        return Computed(np.repeat(asked.input_ids[..., None], 2, -1), np.stack([sums, sums], 1))


def waiting(queue: DynamicBatcher, count: int) -> None:
    end = time.monotonic() + 5
    while len(queue._queue) < count and time.monotonic() < end:
        time.sleep(0.005)
    assert len(queue._queue) == count


def test_askers_get_their_own_rows_and_are_read_together() -> None:
    slow, asked = Slow(), [rows(3, 40, seed) for seed in range(9)]
    queue = DynamicBatcher(slow)
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(queue, asked[0])
        while not queue._running or queue._queue:
            time.sleep(0.005)
        others = [threads.submit(queue, one) for one in asked[1:]]
        waiting(queue, 8)
        slow.open.set()
        for one, made in zip(asked, [first, *others], strict=True):
            assert np.array_equal(made.result().spans[..., 0], one.input_ids)
            assert np.array_equal(made.result().judged[:, 0], one.input_ids.sum(1))
    assert [shape[0] for shape in slow.seen] == [3, 24]
    assert not queue._running


def test_the_oldest_is_served_first_and_with_it_only_what_is_like_it() -> None:
    slow = Slow()
    queue = DynamicBatcher(slow)
    with ThreadPoolExecutor(5) as threads:
        threads.submit(queue, rows(1, 10))
        while not queue._running or queue._queue:
            time.sleep(0.005)
        for number, length in enumerate((200, 20, 210, 22), 1):
            threads.submit(queue, rows(2, length))
            waiting(queue, number)
        slow.open.set()
    assert [shape[0] for shape in slow.seen] == [1, 4, 4] and slow.seen[1][1] > 200 > slow.seen[2][1]


def test_an_asker_who_gives_up_is_dropped_and_the_rest_is_served() -> None:
    slow, gone = Slow(), threading.Event()
    queue = DynamicBatcher(slow)

    def ask_and_give_up() -> None:
        with cancelled_by(gone):
            queue(rows(5, 30))

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(queue, rows(1, 30))
        while not queue._running or queue._queue:
            time.sleep(0.005)
        second, third = threads.submit(ask_and_give_up), threads.submit(queue, rows(2, 30))
        waiting(queue, 2)
        gone.set()
        with pytest.raises(Cancelled):
            second.result()
        slow.open.set()
        assert len(first.result().judged) == 1 and len(third.result().judged) == 2
    assert [shape[0] for shape in slow.seen] == [1, 2]


def test_the_queue_is_bounded_and_an_error_is_everyones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic_batching, "MAX_WAITING", 2)
    slow = Slow()
    queue = DynamicBatcher(slow)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(queue, rows(1, 30))
        while not queue._running or queue._queue:
            time.sleep(0.005)
        zeros = [np.zeros_like(getattr(rows(1, 200), name)) for name in Sequences.__slots__]
        empty = threads.submit(queue, Sequences(*zeros))
        waiting(queue, 1)
        last = threads.submit(queue, rows(1, 30))
        waiting(queue, 2)
        with pytest.raises(QueueFull, match="2 questions are waiting"):
            queue(rows(1, 30))
        slow.open.set()
        with pytest.raises(ValueError, match="nothing to read"):
            empty.result()
        assert len(first.result().judged) == len(last.result().judged) == 1


def test_a_pipeline_may_read_through_it(tmp_path: Path) -> None:
    (tmp_path / "mill.txt").write_text(
        "The wheel turns six times a minute. Ida Holm keeps the sluice. The pond holds sea water."
    )
    build([tmp_path / "mill.txt"], tmp_path / "index")
    questions = ["Who keeps the sluice?", "How often does the wheel turn?", "What does the pond hold?"] * 3
    plain, weights, fitted = RagPipeline.from_index(tmp_path / "index"), shipped_weights.describe(), calibration()
    encoder, sizes = shipped_weights.encoder(weights), []

    def compute(rows: Sequences) -> Computed:
        sizes.append(len(rows.input_ids))
        return encoder(rows)

    reader = Reader(DynamicBatcher(compute), shipped_weights.decoder(weights))
    generator = open_generator(plain.config, Resources(plain.embedder, fitted, reader))
    batched = RagPipeline(plain.index, plain.embedder, generator, plain.config, fitted, lambda _: reader)
    expected = [plain.ask(question).text for question in questions]
    with ThreadPoolExecutor(9) as threads:
        assert [answer.text for answer in threads.map(batched.ask, questions)] == expected
    assert sum(sizes) >= len(questions)


def test_the_reader_finds_the_same_together_and_alone() -> None:
    encoder = shipped_weights.encoder(shipped_weights.describe())
    asked = [rows(2, length, length) for length in (60, 64, 70)]
    alone = [encoder(one) for one in asked]
    queue = DynamicBatcher(encoder)
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(queue, asked))
    for mine, theirs in zip(found, alone, strict=True):
        assert mine.spans.shape == theirs.spans.shape and mine.states.shape == theirs.states.shape
        np.testing.assert_allclose(mine.spans, theirs.spans, atol=2e-2)
        np.testing.assert_allclose(mine.judged, theirs.judged, atol=2e-2)
        assert [one.routed for one in mine.costs] == [one.routed for one in theirs.costs]


def test_a_picture_stays_with_its_asker() -> None:
    picture = Picture(np.full((PATCHES, WIDTH), 0.5, np.float16))
    seen = collate([Parts([5], [], [7, 8], picture=picture)])
    whole = dynamic_batching.concatenated([rows(2, 200), seen])
    assert whole.patches.shape == (3, PATCHES, WIDTH) and not whole.patches[:2].any()
    assert np.array_equal(whole.patches[2], picture.features)
    assert ((whole.input_ids == PATCH).sum(1) == [0, 0, PATCHES]).all()
