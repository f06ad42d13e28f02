"""How often a cell that a look-up finds is the right one.

    python bench/cells.py FILE...                              the table given
    python bench/cells.py FILE... --among FILE --work DIR      the table among those of AMONG others, found by search

FILES are questions with a table as their passage (DATA/qa/dev/wtq...). Given: the row is the only one that shares most
words with the question, and rag.lookups.table_cells finds the cell. Among others: rag.lookups.decide does all, and
questions whose table is not there are asked too. Numbers count as right whatever sign or unit goes with them.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
from collections.abc import Sequence
from pathlib import Path

from indexing.build.run import build
from models.common.cell_separator import CELL
from models.training.question_sets import QaRow, read_qa
from rag import context
from rag.generators.quote import quotable_spans
from rag.generators.quote.comparison import CHUNKS
from rag.lookups.decide import look_up
from rag.lookups.table_cells import asked_cell
from rag.pipeline import RagPipeline
from rag.understand import understand
from rag.words import stems

AMONG, ELSEWHERE = 1500, 600  # questions whose tables stand beside; questions whose tables are not there


def given(row: QaRow) -> str | None:
    header, *rows = [line for line in row.context.split("\n") if CELL in line]
    words = stems(row.question)
    held = [len(words & stems(one)) for one in rows]
    most = max(held, default=0)
    if not most or held.count(most) > 1:
        return None
    chosen = rows[held.index(most)]
    cell = asked_cell(row.question, header, chosen, row.title)
    return cell and chosen[slice(*cell)]


def found(rag: RagPipeline, row: QaRow) -> str | None:
    hits = rag.candidates(understand(row.question), rag.config.top_k)
    pieces = context.fit(hits, CHUNKS, rag.config.context_tokens).evidence
    spans = [quotable_spans.candidates(piece.text) for piece in pieces]
    cell = look_up(row.question, pieces, spans, [()] * len(pieces))
    return cell and pieces[cell.evidence].text[slice(*cell.value)]


def name(row: QaRow) -> str:
    return hashlib.blake2b(row.context.encode(), digest_size=8).hexdigest()


def markdown(row: QaRow) -> str:
    lines = [f"# {row.title or 'Table'}", ""]
    for line in row.context.split("\n"):
        cells = line.replace("|", "/").split(CELL.replace("|", "/")) if CELL in line else []
        ruled = bool(cells) and not any(before.startswith("|") for before in lines)
        lines.append(f"| {CELL.join(cells)} |" if cells else line)
        lines += ["|" + "---|" * len(cells)] * ruled
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    return re.sub(r"[^\w.]", "", text.casefold()).strip(".")


def is_right(row: QaRow, cell: str) -> bool:
    answers = [plain(one.text) for one in row.answers]
    return any(plain(cell) in answer or answer in plain(cell) for answer in answers)


def report(label: str, rows: Sequence[QaRow], cells: Sequence[str | None]) -> None:
    found = [is_right(row, cell) for row, cell in zip(rows, cells, strict=True) if cell is not None]
    print(f"{label}: {len(rows)} questions, a cell found for {len(found)}, the right one for {sum(found)}")


def of_tables(file: Path) -> list[QaRow]:
    return [row for row in read_qa(file) if row.span and CELL in row.context]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--among", type=Path, help="questions whose tables stand beside")
    parser.add_argument("--work", type=Path, help="where these are indexed")
    options = parser.parse_args()
    asked = {str(file): of_tables(file) for file in options.files}
    if not options.among:
        for file, rows in asked.items():
            report(file, rows, [given(row) for row in rows])
        return
    others = random.Random(0).sample(of_tables(options.among), AMONG + ELSEWHERE)
    there = {name(row): row for rows in (*asked.values(), others[:AMONG]) for row in rows}
    (options.work / "tables").mkdir(parents=True, exist_ok=True)
    for id, row in there.items():
        (options.work / "tables" / f"{id}.md").write_text(markdown(row), encoding="utf-8")
    build([options.work / "tables"], options.work / "index")
    rag = RagPipeline.from_index(options.work / "index", generator="quote")
    asked[f"{options.among}, there"] = others[:ELSEWHERE]
    asked[f"{options.among}, not there"] = [row for row in others[AMONG:] if name(row) not in there]
    for label, rows in asked.items():
        report(label, rows, [found(rag, row) for row in rows])


if __name__ == "__main__":
    main()
