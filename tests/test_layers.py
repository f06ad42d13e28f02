"""Who may import whom. Module-level and lazy imports alike; imports for type checkers count too, but for circles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("models", "vision", "indexing", "rag", "ui")  # each may import those before it, but vision no models' rooms
MODELS = tuple(f"models.{room}" for room in ("common", "reader", "network", "writer", "training", "systems"))
PATHS = {path for room in (*ROOMS, "bench", "tests") for path in (ROOT / room).rglob("*.py")} | {ROOT / "app.py"}
NAMES = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in PATHS}
MODULES = set(NAMES.values())


def inside(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def nodes(tree: ast.AST, *, typing: bool) -> Iterator[ast.AST]:
    """All nodes; without typing none under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if typing or not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")):
            yield node
            yield from nodes(node, typing=typing)


def imported(path: Path, *, typing: bool = True) -> set[str]:
    """The modules that a file imports, of `from package import module` the module."""
    found = set()
    for node in nodes(ast.parse(path.read_text()), typing=typing):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES
            if not names <= MODULES:
                found.add(node.module)
    return found


IMPORTS = {NAMES[path]: imported(path) for path in PATHS}


def wrong(importers: tuple[str, ...], is_wrong: Callable[[str, str], bool]) -> list[str]:
    """The imports of modules in these rooms that are wrong."""
    pairs = ((one, other) for one in IMPORTS if inside(one, *importers) for other in IMPORTS[one])
    return sorted(f"{one} -> {other}" for one, other in pairs if is_wrong(one, other))


def is_training(name: str) -> bool:
    return "training" in name.split(".")[:-1] or name.endswith(".training")


def test_rooms_import_only_what_stands_before_them() -> None:
    later = {room: (*ROOMS[at + 1 :], "app", "bench", "tests") for at, room in enumerate(ROOMS)}
    assert not wrong(ROOMS, lambda one, other: inside(other, *later[one.split(".")[0]]))


def test_rooms_of_models_import_only_what_stands_before_them() -> None:
    later = {room: MODELS[at + 1 :] for at, room in enumerate(MODELS)}
    assert not wrong(MODELS, lambda one, other: inside(other, *later[".".join(one.split(".")[:2])]))


def test_vision_imports_of_models_only_what_is_common() -> None:
    may = {False: ("models.common",), True: ("models.common", "models.training")}

    def is_wrong(one: str, other: str) -> bool:
        return inside(other, "models") and not inside(other, *may[is_training(one)])

    assert not wrong(("vision",), is_wrong)


def test_rag_imports_of_models_only_what_answers() -> None:
    may = ("models.common", "models.reader", "models.writer")

    def is_wrong(one: str, other: str) -> bool:
        lazy = (one, other) == ("rag.reading", "models.network.torch_reader")
        return inside(other, "models") and not inside(other, *may) and not lazy and not is_training(one)

    assert not wrong(("rag",), is_wrong)


def test_nothing_imports_systems_and_only_training_imports_training() -> None:
    rooms = (*ROOMS, "app")
    assert not wrong(rooms, lambda one, other: inside(other, "models.systems") and not inside(one, "models.systems"))
    may = ("models.systems",)
    assert not wrong(rooms, lambda one, other: is_training(other) and not is_training(one) and not inside(one, *may))


def test_tests_import_no_bench() -> None:
    assert not wrong(("tests",), lambda one, other: inside(other, "bench"))


def test_there_are_no_circles() -> None:
    graph = {name: (imported(path, typing=False) & MODULES) - {name} for path, name in NAMES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_one_file_imports_faiss() -> None:
    assert [name for name in IMPORTS if inside(name, *ROOMS) and "faiss" in IMPORTS[name]] == ["indexing.stores.ann"]


def test_reader_and_tower_agree_on_patches() -> None:
    """Neither imports the other."""
    from models.reader import image_patches
    from vision import encoder

    assert image_patches.SIDE == encoder.GRID and encoder.EmbeddedTower().dimension == image_patches.WIDTH


def test_answering_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "pool.txt").write_text("The pool is heated to 27 degrees.\n")
    code = f"""
import sys
from pathlib import Path
from indexing.build.run import build
from rag.pipeline import RagPipeline
build([Path({str(tmp_path / "files")!r})], Path({str(tmp_path / "index")!r}))
answer = RagPipeline.from_index({str(tmp_path / "index")!r}, generator="embedded").ask("How warm is the pool?")
assert "27" in answer.text, answer
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
