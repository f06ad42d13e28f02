"""Who may import whom: models <- vision <- indexing <- rag <- ui <- app.py; an arrow points to what may be imported."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("models", "vision", "indexing", "rag", "ui")
MAY = {room: set(ROOMS[: at + 1]) for at, room in enumerate(ROOMS)}


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = {str(path): extra for path in (ROOT / room).rglob("*.py") if (extra := imported(path) & {*ROOMS, "app"} - MAY[room])}
    assert not wrong


def test_only_ann_imports_faiss() -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert [path.name for path in files if "faiss" in imported(path)] == ["ann.py"]
