"""How often a cell that is said is the right one: `python bench/cells.py FILE...`, questions with a table as their passage (DATA/qa/dev/wtq...).

The row is the only one that holds the most words of the question; rag.cells does the rest. Figures count as right whatever sign or unit goes with them.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from models.cell import CELL
from models.qa import QaRow, read_qa
from rag.cells import asked_cell
from rag.support import stems


def said(row: QaRow) -> str | None:
    header, *rows = [line for line in row.context.split("\n") if CELL in line] or [""]
    words = stems(row.question)
    held = [len(words & stems(one)) for one in rows]
    most = max(held, default=0)
    if not most or held.count(most) > 1:
        return None
    chosen = rows[held.index(most)]
    cell = asked_cell(row.question, header, chosen, row.title)
    return cell and chosen[slice(*cell)]


def plain(text: str) -> str:
    return re.sub(r"[^\w.]", "", text.casefold()).strip(".")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    for file in parser.parse_args().files:
        rows = [row for row in read_qa(file) if row.span and CELL in row.context]
        told = [(row, cell) for row in rows if (cell := said(row))]
        right = sum(any(plain(cell) in plain(answer.text) or plain(answer.text) in plain(cell) for answer in row.answers) for row, cell in told)
        print(f"{file}: {len(rows)} questions, a cell said for {len(told)}, the right one for {right}")


if __name__ == "__main__":
    main()
