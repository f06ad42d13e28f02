"""Installed with pip, Folio works from any folder: the rooms are found, and the weights, and the commands answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("rag", "indexing", "models", "vision", "ui", "data")
FILES = ("app.py", "pyproject.toml", "README.md", "requirements.in")
EXTRAS = tuple(f"requirements-{name}.in" for name in ("server", "systems", "test"))
SCRIPT = """
import sys
from pathlib import Path
from indexing.build.run import build
from rag import RagPipeline

assert "torch" not in sys.modules
Path("note.txt").write_text("The lantern weighs 3 kg.")
build(["note.txt"], "index")
print(RagPipeline.from_index("index").ask("How much does the lantern weigh?").text)
"""


@pytest.mark.parametrize("way", ["editable", "wheel"])
def test_a_script_in_another_folder_imports_rag_and_asks(tmp_path: Path, way: str) -> None:
    source, home, work = tmp_path / "source", tmp_path / "venv", tmp_path / "work"
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "sample*"))
    for name in (*FILES, *EXTRAS):
        shutil.copy(ROOT / name, source)
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [*map(str, command)], cwd=work, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # what the tests run with: no network
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    if way == "editable":
        run(*pip, "install", *offline, "-e", source)
    else:
        run(*pip, "wheel", *offline, "--wheel-dir", tmp_path, source)
        shutil.rmtree(source)
        run(*pip, "install", *offline, *tmp_path.glob("*.whl"))
    assert "3 kg" in run(python, "-c", SCRIPT)
    for command in ("folio", "folio-index", "folio-app"):
        assert "usage" in run(home / "bin" / command, "--help")
    assert "3 kg" in run(home / "bin" / "folio", "ask", "How much does the lantern weigh?", "--index", "index")
