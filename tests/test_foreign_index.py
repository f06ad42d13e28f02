"""An index may come from a stranger: it is data. No code in it is run, and no file is touched that it names."""

from __future__ import annotations

import ast
import os
import pickle
import sqlite3
from pathlib import Path

import pytest

from indexing.build.run import build
from rag.pipeline import RagPipeline

ROOT = Path(__file__).parents[1]
ROOMS = ("rag", "indexing", "vision", "models", "ui")
RUNS_CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "diskcache", "_pickle"}
QUESTION = "How much does the lantern weigh?"
# the table of diskcache 5, which older versions of Folio kept in INDEX/memory
DISKCACHE = """
CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value);
CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL,
    access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0,
    filename TEXT, value BLOB);
"""
PICKLED = 4  # a mode of diskcache


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "lantern.txt").write_text("The lantern weighs 3 kg.")
    build([tmp_path / "lantern.txt"], tmp_path / "index")
    return tmp_path / "index"


def test_a_cache_inside_an_index_is_not_opened(index: Path, tmp_path: Path) -> None:
    victim, sprung = tmp_path / "victim.txt", tmp_path / "sprung"
    victim.write_text("precious")
    (index / "memory").mkdir()
    code = pickle.dumps(Trap(sprung)).hex()
    with sqlite3.connect(index / "memory" / "cache.db") as db:
        db.executescript(DISKCACHE)
        db.execute(f"""CREATE TRIGGER trap AFTER INSERT ON Cache BEGIN
            UPDATE Cache SET mode = {PICKLED}, filename = NULL, value = x'{code}' WHERE rowid = new.rowid; END""")
        db.execute("INSERT INTO Cache (key, raw, expire_time, filename) VALUES ('a', 1, 1.0, ?)", (str(victim),))
        db.execute("UPDATE Cache SET filename = ?", (str(victim),))
    db.close()
    before = (index / "memory" / "cache.db").read_bytes()
    for _ in range(2):
        assert "3 kg" in RagPipeline.from_index(index).ask(QUESTION).text
    assert victim.exists() and not sprung.exists()
    assert (index / "memory" / "cache.db").read_bytes() == before and len(list((index / "memory").iterdir())) == 1


def test_nothing_that_serves_can_unpickle() -> None:
    files = [ROOT / "app.py", *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    wrong = {}
    for path in files:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
        if found := {name.partition(".")[0] for name in names} & RUNS_CODE:
            wrong[str(path.relative_to(ROOT))] = found
    assert not wrong
