"""What README and docs say is what there is: their Python runs, their flags, targets, files and figures exist."""

from __future__ import annotations

import importlib.util
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from indexing.loaders import LOADERS
from indexing.types import Locator
from rag.config import RagConfig
from rag.types import Context, Evidence, Query

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
FOLDERS = (".", "bench", "data/weights/reader", "data/weights/tower", "docs", "docs/history", "models", "vision")
DOCUMENTS = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.md"))]
CURRENT = [path for path in DOCUMENTS if "history" not in path.parts]
COMMAND = re.compile(r"(?:(?:python|torchrun\b[^\n`]*?) -m |python (?=app\.py))([a-z][\w.]*)([^\n`#]*)")
FLAG = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)(?: ([a-z0-9-]+))?")  # and a choice


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands() -> Iterator[tuple[str, str]]:
    """(module, its arguments) of every command in the documents; lines that end in a backslash are joined."""
    for path in DOCUMENTS:
        found = COMMAND.findall(re.sub(r"\\\n\s+", "", path.read_text("utf-8")))
        yield from ((module.removesuffix(".py"), arguments) for module, arguments in found)


def wanted() -> dict[tuple[str, ...], set[tuple[str, str]]]:
    """(module, subcommand) -> the flags that the documents name, each with the word behind it."""
    found: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    for module, arguments in commands():
        first = re.match(r" ([a-z]+)(?= |$)", arguments)
        found.setdefault((module, *first.groups()) if first else (module,), set()).update(FLAG.findall(arguments))
    return found


def table(document: str, first: str) -> list[list[str]]:
    """The cells of the table whose first column has this header."""
    lines = (ROOT / document).read_text("utf-8").partition(f"| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_its_python_runs(tmp_path: Path) -> None:
    code, reader = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    index = tmp_path / "index"
    run("-m", "indexing", "data/sample", "--index", str(index), "--no-progress")
    shown = run("-c", code.replace('from_index("index")', f"from_index({str(index)!r})"))
    assert "1.85 m wide" in shown
    assert "walters-gate-notes.txt" in shown
    assert "six revolutions" in run("-c", reader)


def test_the_generator_of_the_docs_quotes_its_evidence() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "generators.md").read_text("utf-8"), re.DOTALL)
    names: dict[str, type] = {}
    exec(code, names)
    text = "The gate is 1.85 m wide.\nIt is of oak."
    context = Context((Evidence("id", "notes.txt", None, text, 1.0, {}, Locator("notes.txt", None, 0, len(text))),))
    *pieces, draft = names["FirstLine"]().generate(Query("How wide is it?", "How wide is it?", ("wide",)), context)
    assert "".join(pieces) == draft.text == "The gate is 1.85 m wide."
    assert [text[support.start : support.end] for support in draft.supports] == [draft.text]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # runpy runs modules that other tests have imported
@pytest.mark.parametrize("command", sorted(wanted()), ids=" ".join)
def test_its_commands_know_their_flags(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, *sub = command
    flags = wanted()[command]
    assert importlib.util.find_spec(module)
    if not flags:
        return
    monkeypatch.setattr(sys, "argv", [module, *sub, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    known = {flag for flag, _ in FLAG.findall(shown)}
    choices = {flag: words.split(",") for flag, words in re.findall(r"(--[a-z-]+) \{([^}]*)\}", shown)}
    assert [flag for flag, _ in flags if flag not in known] == []
    assert [pair for pair in flags if pair[1] and pair[1] not in choices.get(pair[0], pair[1:])] == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    texts = [path.read_text("utf-8") for path in DOCUMENTS]
    named = {name for text in texts for name in re.findall(r"(?:^ +|`)make ([a-z-]+)", text, re.MULTILINE)}
    assert {"app", "ask", "test"} <= named
    assert named - targets == set()


def test_its_console_commands_are_declared() -> None:
    declared = re.findall(r"^([\w-]+) = \"[\w.]+:main\"$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"`(folio[\w-]*)`", README)) == set(declared)


def test_the_files_of_the_tree_exist() -> None:
    names = re.findall(r"^ {4}([\w./]+) ", README.partition("## What is where")[2], re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", CURRENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_files_that_are_named_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (path.parent / link).exists()] == []
    files = re.findall(r"`((?:bench|data|docs|indexing|models|rag|tests|ui|vision)/[\w./-]+\.\w+)`", text)
    assert [name for name in files if "NAME" not in name and not (ROOT / name).exists()] == []


def test_the_functions_of_the_hops_are_in_their_files() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    hops = re.findall(r"^\| \d+ \| `([\w/.]+)` \| `(\w+)` \|", text, re.MULTILINE)
    assert len(hops) > 10
    assert [hop for hop in hops if not re.search(rf"def {hop[1]}\b", (ROOT / hop[0]).read_text("utf-8"))] == []


def test_every_suffix_is_in_the_table_of_formats() -> None:
    documented = {suffix for row in table("docs/formats.md", "family") for suffix in re.findall(r"\.\w+", row[1])}
    read = {suffix for loader in LOADERS for suffix in loader.suffixes}
    code = {suffix for loader in LOADERS if loader.name == "code" for suffix in loader.suffixes}
    assert documented - read - {"."} == set()
    assert read - code - documented == set()


def test_every_setting_is_in_the_table_of_settings() -> None:
    documented = [row[0].strip("`") for row in table("docs/generators.md", "setting")]
    assert documented == [field.name for field in fields(RagConfig)]


def test_every_bench_is_in_the_table_of_benches() -> None:
    listed = (ROOT / "bench" / "README.md").read_text("utf-8")
    benches = [path.stem for path in (ROOT / "bench").glob("*.py") if "__main__" in path.read_text("utf-8")]
    assert [name for name in benches if f"python -m bench.{name}" not in listed] == []


def test_figures_are_fresh() -> None:
    run("-m", "bench.figures", "--check")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_short(path: Path) -> None:
    assert [line for line in path.read_text("utf-8").splitlines() if len(line) > 120] == []


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) <= 120
    assert (ROOT / "docs" / "page.png").stat().st_size <= 200 << 10
