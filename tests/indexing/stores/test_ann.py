"""FAISS against brute force, and its files against damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.stores import ann


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered(count: int, dimension: int, clusters: int, seed: int = 0) -> np.ndarray:
    """What embeddings look like: points around centres, not noise on a sphere."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dimension)).astype(np.float32)
    vectors = centres[rng.integers(clusters, size=count)] + 0.6 * rng.normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def made(vectors: np.ndarray, ids: np.ndarray) -> ann.Ann:
    return ann.build(lambda: iter([(ids, vectors)]), len(vectors), vectors.shape[1], int(ids.max(initial=0)))


IDS = st.sets(st.integers(0, 39))


@given(st.integers(0, 40), st.integers(1, 60), IDS, st.one_of(st.none(), IDS))
@settings(max_examples=60, deadline=None)
def test_it_finds_what_brute_force_finds(count: int, k: int, removed: set[int], allowed: set[int] | None) -> None:
    vectors, query = unit_vectors(count), unit_vectors(1, seed=9)[0]
    ids = np.arange(count, dtype=np.int64) * 3 + 1
    gone = np.array(sorted(3 * i + 1 for i in removed), np.int64)
    only = None if allowed is None else np.array(sorted(3 * i + 1 for i in allowed), np.int64)
    found, scores = made(vectors, ids).search(query, k, allowed=only, removed=gone)
    eligible = [i for i in range(count) if i not in removed and (allowed is None or i in allowed)]
    expected = sorted(eligible, key=lambda i: -float(vectors[i] @ query))[:k]
    assert found.tolist() == [3 * i + 1 for i in expected]
    assert np.allclose(scores, [vectors[i] @ query for i in expected], atol=1e-5)


def test_a_saved_index_answers_the_same_and_replaces_the_older_file(tmp_path: Path) -> None:
    vectors, ids = unit_vectors(100), np.arange(1, 101, dtype=np.int64)
    old = ann.save(tmp_path, "text", made(vectors[:50], ids[:50]))
    new = ann.save(tmp_path, "text", made(vectors, ids))
    assert not old.exists()
    assert ann.newest(tmp_path, "text") == (100, new)
    loaded = ann.load(new, 16)
    assert loaded.epoch == 100
    assert loaded.search(vectors[7], 3)[0].tolist() == made(vectors, ids).search(vectors[7], 3)[0].tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == [new.name]


def test_saving_an_older_state_leaves_a_newer_file_alone(tmp_path: Path) -> None:
    new = ann.save(tmp_path, "text", made(unit_vectors(9), np.arange(1, 10, dtype=np.int64)))
    ann.save(tmp_path, "text", made(unit_vectors(5), np.arange(1, 6, dtype=np.int64)))
    assert ann.newest(tmp_path, "text") == (9, new)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_file_is_not_loaded(tmp_path: Path, damage: str) -> None:
    path = ann.save(tmp_path, "text", made(unit_vectors(100), np.arange(100, dtype=np.int64)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes({"truncated": bytes(data[:-100]), "flipped": bytes(data), "empty": b""}[damage])
    assert ann.load(path, 16) is None


def test_an_index_of_another_dimension_is_not_loaded(tmp_path: Path) -> None:
    path = ann.save(tmp_path, "text", made(unit_vectors(10), np.arange(10, dtype=np.int64)))
    assert ann.load(path, 17) is None


@pytest.mark.slow
def test_above_the_exact_size_the_recall_holds_and_rows_come_and_go() -> None:
    vectors = clustered(ann.EXACT_BELOW + 5_000, 64, 500)
    ids = np.arange(1, len(vectors) + 1, dtype=np.int64)
    first = ann.EXACT_BELOW
    index = made(vectors[:first], ids[:first])
    assert "IVF" in type(index.index).__name__
    gone = ids[:100]
    index = ann.extend(index, gone, iter([(ids[first:], vectors[first:])]), int(ids[-1]))
    queries = clustered(200, 64, 500, seed=0)
    exact = np.argsort(-(queries @ vectors[100:].T), axis=1)[:, :10] + 101
    found = [index.search(query, 10)[0] for query in queries]
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, exact, strict=True)]) >= ann.RECALL
    allowed = ids[200:260]
    assert set(index.search(queries[0], 60, allowed=allowed)[0]) == set(allowed)
