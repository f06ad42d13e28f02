"""The state cache on disk: shared by processes, removed with its index, and a disk fault is no fault of the reader."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from models.reader import state_cache
from models.reader.state_cache import FOLDER, Kept, forget


def test_another_process_finds_what_is_kept(tmp_path: Path) -> None:
    Kept(tmp_path / FOLDER)["a"] = b"states"
    assert Kept(tmp_path / FOLDER).get("a") == b"states" and Kept(tmp_path / FOLDER).get("b") is None
    forget(tmp_path)
    assert not list(tmp_path.iterdir())
    forget(tmp_path)


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_cache, "SIZE", 2**20)
    store = Kept(tmp_path)
    for i in range(400):
        store[str(i)] = bytes(50_000)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10 * 2**20
    assert store.get("399") is not None and store.get("0") is None


def test_a_damaged_or_forbidden_folder_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    blocked = Kept(tmp_path / "file")
    blocked["a"] = b"x"
    assert blocked.get("a") is None
    store = Kept(tmp_path / "damaged")
    store["a"] = b"x"
    for file in (tmp_path / "damaged").iterdir():
        file.write_bytes(b"no database" * 500)
    damaged = Kept(tmp_path / "damaged")
    damaged["b"] = b"y"
    assert damaged.get("b") is None


def test_many_threads(tmp_path: Path) -> None:
    store = Kept(tmp_path)

    def work(number: int) -> None:
        for i in range(20):
            store[f"{number} {i}"] = bytes([number, i])
            assert store.get(f"{number} {i}") in (bytes([number, i]), None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("3 19") == bytes([3, 19])
