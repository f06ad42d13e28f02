"""What the README shows is what there is: its Python runs, its flags and make targets exist, its files are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_python_runs(tmp_path: Path) -> None:
    code, reader = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    index = tmp_path / "index"
    run("-m", "indexing", "data/sample", "--index", str(index), "--no-progress")
    shown = run("-c", code.replace('from_index("index")', f"from_index({str(index)!r})"))
    assert "1.85 m wide" in shown
    assert "walters-gate-notes.txt" in shown
    assert "six revolutions" in run("-c", reader)


@pytest.mark.parametrize("line", re.findall(r"^ +(python -m .*?)(?:  #.*)?$", README, re.MULTILINE))
def test_its_commands_know_their_flags(line: str) -> None:
    words = line.split()
    command = [word for word in words[2:5] if re.fullmatch(r"[a-z][a-z.]*", word)]
    shown = run("-m", *command, "--help")
    assert [flag for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line.removeprefix("python -m")) if flag not in shown] == []


def test_its_make_targets_and_files_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^ +make ([a-z-]+)", README, re.MULTILINE)) <= targets
    tree = README.partition("## What is where")[2].partition("\n\nAn index")[0]
    names = re.findall(r"^ {4}([\w./]+) ", tree, re.MULTILINE)
    assert len(names) > 8
    assert [name for name in names if not (ROOT / name).exists()] == []
