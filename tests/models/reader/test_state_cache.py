"""Encoder states on disk: there again for another process, gone with their index, and only this user's own believed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.reader import state_cache
from models.reader.state_cache import FILE, SECRET, StateCache, forget


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache, with an empty home around it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "folio"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def test_another_process_finds_what_was_cached(cache: Path, index: Path) -> None:
    StateCache(index)["a"] = b"states"
    code = (
        "from pathlib import Path; from models.reader.state_cache import StateCache; "
        f"print(StateCache(Path({str(index)!r})).get('a'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "b'states'"
    assert StateCache(index).get("b") is None
    assert not list(index.iterdir())


def test_an_index_is_forgotten_alone(cache: Path, index: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for folder in (index, other):
        StateCache(folder)["a"] = str(folder).encode()
    forget(index)
    assert StateCache(index).get("a") is None and StateCache(other).get("a") == str(other).encode()
    other.rmdir()  # an index that is deleted, or a conversation's that ended
    StateCache(index)
    with sqlite3.connect(cache / FILE) as db:
        assert db.execute("SELECT count(*) FROM states").fetchone() == (0,)
    db.close()


def test_it_is_bounded_for_all_indexes_together(
    cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_cache, "SIZE", 2**20)
    first, second = StateCache(index), StateCache(tmp_path)
    for i in range(200):
        (first if i % 2 else second)[str(i)] = bytes(50_000)
    assert sum(file.stat().st_size for file in cache.iterdir()) < 8 * 2**20
    assert first.get("199") is not None and second.get("198") is not None and first.get("1") is None


@pytest.mark.parametrize("change", ["value", "digest", "key", "type"])
def test_what_was_not_written_by_this_user_is_not_believed(cache: Path, index: Path, change: str) -> None:
    store = StateCache(index)
    store["a"], store["b"] = b"states", b"others"
    with sqlite3.connect(cache / FILE) as db:
        db.execute({
            "value": "UPDATE states SET value = x'00' WHERE key = 'a'",
            "digest": "UPDATE states SET digest = zeroblob(16) WHERE key = 'a'",
            "key": "UPDATE states SET (value, digest) = (SELECT value, digest FROM states WHERE key = 'b')",
            "type": "UPDATE states SET value = 'text', digest = 7 WHERE key = 'a'",
        }[change])
    db.close()
    assert store.get("a") is None and store.get("b") == b"others"


@pytest.mark.parametrize("file", [FILE, SECRET])
def test_a_file_that_others_can_reach_is_not_opened(cache: Path, index: Path, file: str) -> None:
    StateCache(index)["a"] = b"states"
    assert (cache / SECRET).stat().st_mode & 0o777 == 0o600
    (cache / file).chmod(0o644)
    store = StateCache(index)
    store["b"] = b"more"
    assert store.get("a") is None and store.get("b") is None


def test_a_damaged_or_forbidden_folder_caches_nothing(
    cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StateCache(index)["a"] = b"x"
    for file in cache.glob(f"{FILE}*"):
        file.write_bytes(b"no database" * 500)
    damaged = StateCache(index)
    damaged["b"] = b"y"
    assert damaged.get("b") is None
    again = StateCache(index)  # which the damaged one made room for
    again["c"] = b"z"
    assert again.get("c") == b"z"
    (index / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(index / "file"))
    blocked = StateCache(index)
    blocked["a"] = b"x"
    assert blocked.get("a") is None
    forget(index)


def test_many_threads(cache: Path, index: Path) -> None:
    store = StateCache(index)

    def work(number: int) -> None:
        for i in range(20):
            store[f"{number} {i}"] = bytes([number, i])
            assert store.get(f"{number} {i}") == bytes([number, i])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("3 19") == bytes([3, 19])
