"""python -m bench.figures [--check]: writes the tables of bench/results/*.json into the documents.

A document asks for a table by `<!-- figures: NAME -->` and `<!-- end -->`, each on a line of its own; the lines between
them are replaced by what bench/results/NAME.json holds. A file of results is a JSON object with the fields of Results.
Measures nothing: whoever runs a bench again enters its figures into the file of results.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH = 120  # characters of a line in the documents, as of the code (pyproject.toml)
MARKED = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Results:
    """One table. question: what a reader asks; the table answers it.

    commands: what measured it, as typed. machine, date (ISO), commit: where and when. digits: of the floats, behind the
    point; strings are shown as they are.
    """

    question: str
    commands: list[str]
    machine: str
    date: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    commit: str = ""
    digits: int = 3

    def __post_init__(self) -> None:
        if not (self.commands and self.machine and self.date):
            raise ValueError("figures need their commands, their machine and their date")
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"every row needs {len(self.columns)} cells")


def read(folder: Path) -> dict[str, Results]:
    """name -> results of every file in a folder. Raises ValueError or TypeError for a file that is none."""
    return {path.stem: Results(**json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))}


def render(results: Results) -> str:
    """The question, the table, its note and its commands, as Markdown. Raises ValueError for a row that is too wide."""
    rows = [[_shown(cell, results.digits) for cell in row] for row in results.rows]
    rules = [_rule([row[at] for row in results.rows]) for at in range(len(results.columns))]
    table = [f"| {' | '.join(row)} |" for row in (results.columns, *rows)]
    table.insert(1, f"|{'|'.join(rules)}|")
    if wide := [line for line in table if len(line) > WIDTH]:
        raise ValueError(f"a row of more than {WIDTH} characters, shorten its cells or turn the table: {wide[0]}")
    commit = f", commit {results.commit}" if results.commit else ""
    about = f"{results.note} Measured on {results.machine}; {results.date}{commit}:".strip()
    parts = [f"**{results.question}**", "\n".join(table), textwrap.fill(about, WIDTH, break_on_hyphens=False)]
    return "\n\n".join([*parts, "\n".join(f"    {command}" for command in results.commands)])


def _shown(cell: Cell, digits: int) -> str:
    if isinstance(cell, float):
        return f"{cell:.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _rule(cells: Sequence[Cell]) -> str:
    """Under a column of numbers a rule that sets them to the right."""
    return "---:" if any(isinstance(cell, int | float) for cell in cells) else "---"


def filled(document: str, tables: dict[str, str]) -> str:
    """The document with its marked tables as they are now. Raises KeyError for a name without results."""
    return MARKED.sub(lambda found: f"{found[1]}{tables[found[2]]}\n{found[3]}", document)


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.figures", description="Tables of figures in the documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a document is stale")
    options = parser.parse_args(arguments)
    tables = {name: render(results) for name, results in read(ROOT / "bench" / "results").items()}
    problems, shown = [], set()
    for path in documents():
        document = path.read_text("utf-8")
        names = {found[2] for found in MARKED.finditer(document)}
        shown |= names
        if unknown := names - set(tables):
            problems.append(f"{path.relative_to(ROOT)}: there are no results {', '.join(sorted(unknown))}")
        elif (fresh := filled(document, tables)) != document:
            problems.append(f"{path.relative_to(ROOT)}: stale, run `python -m bench.figures`")
            if not options.check:
                path.write_text(fresh, "utf-8")
                problems[-1] = f"{path.relative_to(ROOT)}: written"
    problems += [f"bench/results/{name}.json: no document shows it" for name in sorted(set(tables) - shown)]
    print("\n".join(problems) or "the documents are fresh")
    return 1 if problems and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
