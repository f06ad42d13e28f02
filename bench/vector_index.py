"""Recall@10 and speed of the FAISS index that Folio chooses, beside exact search and HNSW, on clustered vectors.

    python -m bench.vector_index [--rows N] [--hnsw] [--json]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.common import parser_of, report

if TYPE_CHECKING:
    import faiss

DIMENSION = 384
CENTRES = 2000
CHUNK = 50_000  # vectors made at once
SPREAD, NOISE = 0.8, 0.5  # of vectors around their centre; of a query around its vector
QUERIES, TOP = 200, 10
LINKS, EF_SEARCH = 32, 128  # of HNSW

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def clustered(count: int) -> Batches:
    """Batches of ids (n,) and unit vectors (n, DIMENSION) around CENTRES, the same on every call."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CENTRES, DIMENSION)).astype(np.float32)
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        nearest = centres[rng.integers(CENTRES, size=size)]
        noise = rng.standard_normal((size, DIMENSION), np.float32)
        yield np.arange(first, first + size, dtype=np.int64), _unit(nearest + SPREAD * noise)


def queries(count: int) -> np.ndarray:
    """(QUERIES, DIMENSION) unit vectors near the first vectors."""
    _, vectors = next(clustered(count))
    noise = np.random.default_rng(1).standard_normal((QUERIES, DIMENSION), np.float32)
    return _unit(vectors[:QUERIES] + NOISE * _unit(noise))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def measure(count: int, hnsw: bool) -> dict[str, dict[str, Any]]:
    """Index -> its kind, recall@10 against exact search, ms a query, seconds to build, MB on disk."""
    asked, truth, figures = queries(count), None, {}
    for name, make in _contenders(count, hnsw).items():
        started = time.perf_counter()
        index = make()
        built = time.perf_counter() - started
        started = time.perf_counter()
        found = np.stack([index.search(query[None], TOP)[1][0] for query in asked])
        each = 1000 * (time.perf_counter() - started) / len(asked)
        truth = found if truth is None else truth  # the first contender searches exactly
        recall = np.mean([len(np.intersect1d(a, b)) / TOP for a, b in zip(found, truth, strict=True)])
        figures[name] = {
            "kind": _kind(index), "recall@10": float(recall), "ms a query": each, "build s": built, "MB": _size(index),
        }  # fmt: skip
        del index
    return figures


def _contenders(count: int, hnsw: bool) -> dict[str, Callable[[], faiss.Index]]:
    import faiss

    from indexing.stores import ann

    def filled(index: faiss.Index) -> faiss.Index:
        for _, vectors in clustered(count):
            index.add(vectors)
        return index

    def graph() -> faiss.Index:
        index = faiss.IndexHNSWFlat(DIMENSION, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efSearch = EF_SEARCH
        return filled(index)

    contenders = {
        "exact": lambda: filled(faiss.IndexFlatIP(DIMENSION)),
        "Folio": lambda: ann.build(lambda: clustered(count), count, DIMENSION, count).index,
    }
    return contenders | ({f"HNSW{LINKS}": graph} if hnsw else {})


def _kind(index: faiss.Index) -> str:
    probes = f", nprobe {index.nprobe} of {index.nlist}" if hasattr(index, "nprobe") else ""
    return type(index).__name__ + probes


def _size(index: faiss.Index) -> float:
    import faiss

    with tempfile.TemporaryDirectory() as work:
        faiss.write_index(index, f"{work}/index")
        return Path(work, "index").stat().st_size / 2**20


def main() -> None:
    parser = parser_of("vector_index", __doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="vectors (100000)")
    parser.add_argument("--hnsw", action="store_true", help="beside HNSW too, which is slow to build")
    options = parser.parse_args()
    report(parser, options, measure(options.rows, options.hnsw))


if __name__ == "__main__":
    main()
