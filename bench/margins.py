"""How often the answer that is said again after its sentence is beside the point, by how clearly it beats another one there: `python bench/margins.py DATA [--limit N]`.

Development questions, the sentence that holds the answer given. Beside the point: F1 below 0.3. Of tables the row is given: its clear cell is said where the question names
the column too.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from indexing.sentences import sentences
from models.common.cell_separator import CELL
from models.common.metrics import squad
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.reader.windows import Passage
from models.training.question_sets import read_qa
from rag.generators.quote import quotable_spans
from rag.generators.quote.generator import CLEAR, LONGEST_SHORT, best_part
from rag.lookups.table_cells import named_cells

SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "tatqa", "fairytaleqa", "covidqa", "policyqa")
TABLES = ("wtq", "tatqa")
EDGES = (-np.inf, 1, 2, 3, 4, 6, 9, np.inf)
BESIDE = 0.3


def cells(data: Path, limit: int, reader: Reader) -> tuple[int, int, int]:
    """Questions whose answer is in a row, how often the reader and the question agree on a cell, and how often that is the one."""
    asked = said = right = 0
    for name in TABLES:
        for row in [row for row in read_qa(data / "qa" / "dev" / f"{name}.jsonl.gz") if row.span and CELL in row.context][:limit]:
            at = row.answers[0].start
            start, end = row.context.rfind("\n", 0, at) + 1, (row.context + "\n").find("\n", at)
            header = next(line for line in row.context.split("\n") if CELL in line)
            if CELL not in row.context[start:end] or row.context[start:end] == header:
                continue
            asked += 1
            best = best_part(reader.study(row.question, [Passage(row.context, row.title)], [quotable_spans.parts(row.context, start, end)])[0][0])
            named = [(start + left, start + right) for left, right in named_cells(row.question, header, row.context[start:end])]
            cell = next((cell for cell in named if cell[0] <= best.start < cell[1]), None)
            if cell and best.margin >= CLEAR:
                said, right = said + 1, right + (cell[0] <= at < cell[1])
    return asked, said, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=120, help="questions of a set")
    options = parser.parse_args()
    reader, found = Reader(shipped_weights.encoder(shipped_weights.describe())), []
    for name in SETS:
        for row in [row for row in read_qa(options.data / "qa" / "dev" / f"{name}.jsonl.gz") if row.answers and row.answers[0].start >= 0][: options.limit]:
            unit = next((unit for unit in sentences(row.context) if unit[0] <= row.answers[0].start < unit[1]), None)
            if unit:
                [[best]], _ = reader.study(row.question, [Passage(row.context, row.title)], [[unit]])
                if best.end - best.start <= LONGEST_SHORT * (unit[1] - unit[0]):
                    found.append((best.margin, squad(row.context[best.start : best.end], [answer.text for answer in row.answers])[1]))
    margins, scores = np.array(found).T
    for low, high in itertools.pairwise(EDGES):
        mine = scores[(margins >= low) & (margins < high)]
        print(f"{low} to {high}: {len(mine)} answers, F1 {mine.mean():.2f}, beside the point {np.mean(mine < BESIDE):.2f}")
    for name, mine in (("from 3 on", scores[margins >= 3]), ("below", scores[margins < 3]), ("all", scores)):
        print(f"{name}: {len(mine)} answers, F1 {mine.mean():.2f}, beside the point {np.mean(mine < BESIDE):.2f}")

    print("cells: of {} rows said for {}, rightly for {}".format(*cells(options.data, options.limit, reader)))


if __name__ == "__main__":
    main()
