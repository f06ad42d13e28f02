"""FAISS: a rebuildable accelerator over the store's vectors. The only file that imports faiss.

In: ids (n,) int64 and vectors (n, d) float32 in batches. Out: ids and inner products of the nearest. Knows no SQL.
A FAISS file covers the chunks up to its epoch and is named `SPACE-EPOCH-CRC.faiss`. It is written to a temporary name,
fsynced and renamed, so a file under its name is whole. The checksum finds one that was damaged later.
"""

from __future__ import annotations

import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import faiss

EXACT_BELOW = 50_000  # rows: an exact search of these takes a few milliseconds
RECALL = 0.95  # recall@10 against exact search that an approximate index must show on a sample
MARGIN = 0.01  # above RECALL, since the sample is small
SAMPLE = 256  # queries of that sample
NEIGHBOURS = 10  # of each query, over which the recall is taken
NOISE = 0.5  # length of the random vector added to a stored vector to make a query of it
TRAINING_ROWS = 50  # for each inverted list; FAISS warns below 39
PROBES = (4, 8, 16, 32, 64, 128, 256, 512)  # numbers of lists to search, tried until one shows the recall
_NAME = re.compile(r"[a-z]+-(\d+)-([0-9a-f]{8})\.faiss")

Batches = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]  # () -> (ids (n,) int64, vectors (n, d) float32)


@dataclass(frozen=True, slots=True)
class Ann:
    """A loaded FAISS index over the chunks up to `epoch`."""

    index: faiss.Index
    epoch: int

    def search(
        self, query: np.ndarray, k: int, *, allowed: np.ndarray | None = None, removed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(ids, scores) of the at most k nearest to query (d,), best first; only `allowed` ids, none of `removed`."""
        import faiss

        if not self.index.ntotal or (allowed is not None and not len(allowed)):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        selector = None
        if allowed is not None:
            kept = allowed if removed is None else np.setdiff1d(allowed, removed)
            selector = faiss.IDSelectorBatch(kept)
        elif removed is not None and len(removed):
            selector = faiss.IDSelectorNot(faiss.IDSelectorBatch(removed))
        # one query is too little work to share among threads, most of all on a busy machine
        faiss.omp_set_num_threads(1)
        parameters = self._parameters(selector, everywhere=allowed is not None)
        scores, ids = self.index.search(query[None], min(k, self.index.ntotal), params=parameters)
        found = ids[0] >= 0  # FAISS pads with -1
        return ids[0][found], scores[0][found]

    def _parameters(self, selector: faiss.IDSelector | None, everywhere: bool) -> faiss.SearchParameters | None:
        """everywhere: search all inverted lists, as a filter may leave nothing in the nearest ones."""
        import faiss

        if selector is None:
            return None
        if isinstance(self.index, faiss.IndexIVF):
            return faiss.SearchParametersIVF(sel=selector, nprobe=self.index.nlist if everywhere else self.index.nprobe)
        return faiss.SearchParameters(sel=selector)


def build(batches: Batches, count: int, dimension: int, epoch: int) -> Ann:
    """An index over `count` vectors: exact below EXACT_BELOW rows, above that the cheapest that shows RECALL."""
    import faiss

    faiss.omp_set_num_threads(os.cpu_count() or 1)
    if count >= EXACT_BELOW:
        index = _inverted_lists(batches, count, dimension)
        if index is not None:
            return Ann(index, epoch)
    return Ann(_exact(batches, dimension), epoch)


def extend(old: Ann, removed: np.ndarray, batches: Iterator[tuple[np.ndarray, np.ndarray]], epoch: int) -> Ann:
    """The same index without some ids and with newer vectors; `old` is changed and must not be used again."""
    if len(removed):
        old.index.remove_ids(removed)
    for ids, vectors in batches:
        old.index.add_with_ids(vectors, ids)
    return Ann(old.index, epoch)


def _exact(batches: Batches, dimension: int) -> faiss.Index:
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
    for ids, vectors in batches():
        index.add_with_ids(vectors, ids)
    return index


def _inverted_lists(batches: Batches, count: int, dimension: int) -> faiss.Index | None:
    """Inverted lists over 8-bit vectors, with the fewest of PROBES that reach RECALL + MARGIN; None where none does."""
    import faiss

    lists = int(2 * np.sqrt(count))
    rng = np.random.default_rng(0)
    share = min(1.0, lists * TRAINING_ROWS / count)
    training = np.concatenate([vectors[rng.random(len(vectors)) < share] for _, vectors in batches()])
    index = faiss.index_factory(dimension, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 10
    index.cp.spherical = True
    index.train(training)
    noise = rng.normal(size=(SAMPLE, dimension)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    queries = training[rng.choice(len(training), SAMPLE)] + NOISE * noise  # (SAMPLE, d)
    exact = faiss.ResultHeap(SAMPLE, NEIGHBOURS, keep_max=True)
    for ids, vectors in batches():
        index.add_with_ids(vectors, ids)
        k = min(NEIGHBOURS, len(vectors))
        scores, places = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        exact.add_result(scores, ids[places])
    exact.finalize()
    for probes in PROBES:
        if probes >= lists:
            return None
        index.nprobe = probes
        _, found = index.search(queries, NEIGHBOURS)
        recall = np.mean([len(np.intersect1d(a, b)) / NEIGHBOURS for a, b in zip(found, exact.I, strict=True)])
        if recall >= RECALL + MARGIN:
            return index
    return None


def save(directory: Path, space: str, ann: Ann) -> Path:
    """Write the index of a space beside the store and remove its older files. Returns the path."""
    import faiss

    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"{space}-{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        faiss.write_index(ann.index, str(temporary))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        path = directory / f"{space}-{ann.epoch}-{_checksum(temporary):08x}.faiss"
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for epoch, other in _files(directory, space):
        if other != path and epoch <= ann.epoch:  # a newer one may have come meanwhile
            other.unlink(missing_ok=True)
    return path


def newest(directory: Path, space: str) -> tuple[int, Path] | None:
    """(epoch, path) of the newest FAISS file of a space there, unread."""
    return max(_files(directory, space), default=None)


def _files(directory: Path, space: str) -> list[tuple[int, Path]]:
    paths = directory.glob(f"{space}-*.faiss")
    return [(int(match[1]), path) for path in paths if (match := _NAME.fullmatch(path.name))]


def load(path: Path, dimension: int) -> Ann | None:
    """The index in a file; None when the file is damaged or is of another space."""
    import faiss

    match = _NAME.fullmatch(path.name)
    try:
        if match is None or _checksum(path) != int(match[2], 16):
            return None
        index = faiss.read_index(str(path))
    except (OSError, RuntimeError):  # faiss raises RuntimeError for a file that it cannot read
        return None
    return Ann(index, int(match[1])) if index.d == dimension else None


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value
