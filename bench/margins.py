"""How often the reader's short answer is wrong, by how clearly it beats the next: `python bench/margins.py DATA`.

Development questions, the sentence that holds the answer given. Wrong: F1 below WRONG. Of tables the row is given; its
cell is the answer where the reader's best cell is clear and the question names its column too.
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
from rag.generators.quote.comparison import best_part
from rag.generators.quote.generator import CLEAR, LONGEST_SHORT
from rag.lookups.table_cells import named_cells

SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "tatqa", "fairytaleqa", "covidqa", "policyqa")
TABLES = ("wtq", "tatqa")
EDGES = (-np.inf, 1, 2, 3, 4, 6, 9, np.inf)
WRONG = 0.3  # F1 of words; one of three words right is beside the point


def cells(data: Path, limit: int, reader: Reader) -> tuple[int, int, int]:
    """Counts of questions: their answer is in a row; reader and question agree on a cell; that cell is right."""
    asked = agreed = right = 0
    for name in TABLES:
        questions = read_qa(data / "qa" / "dev" / f"{name}.jsonl.gz")
        for row in [row for row in questions if row.span and CELL in row.context][:limit]:
            at = row.answers[0].start
            start, end = row.context.rfind("\n", 0, at) + 1, (row.context + "\n").find("\n", at)
            header = next(line for line in row.context.split("\n") if CELL in line)
            if CELL not in row.context[start:end] or row.context[start:end] == header:
                continue
            asked += 1
            parts = quotable_spans.parts(row.context, start, end)
            best = best_part(reader.study(row.question, [Passage(row.context, row.title)], [parts])[0][0])
            named = named_cells(row.question, header, row.context[start:end])
            cell = next((cell for cell in named if start + cell[0] <= best.start < start + cell[1]), None)
            if cell and best.margin >= CLEAR:
                agreed, right = agreed + 1, right + (start + cell[0] <= at < start + cell[1])
    return asked, agreed, right


def report(name: str, scores: np.ndarray) -> None:
    """scores: (n,) F1 of answers."""
    print(f"{name}: {len(scores)} answers, F1 {scores.mean():.2f}, wrong {np.mean(scores < WRONG):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=120, help="questions of a set")
    options = parser.parse_args()
    reader, found = Reader(shipped_weights.encoder(shipped_weights.describe())), []
    for name in SETS:
        questions = read_qa(options.data / "qa" / "dev" / f"{name}.jsonl.gz")
        for row in [row for row in questions if row.answers and row.answers[0].start >= 0][: options.limit]:
            unit = next((unit for unit in sentences(row.context) if unit[0] <= row.answers[0].start < unit[1]), None)
            if unit:
                [[best]], _ = reader.study(row.question, [Passage(row.context, row.title)], [[unit]])
                if best.end - best.start <= LONGEST_SHORT * (unit[1] - unit[0]):
                    answers = [answer.text for answer in row.answers]
                    found.append((best.margin, squad(row.context[best.start : best.end], answers)[1]))
    margins, scores = np.array(found).T
    for low, high in itertools.pairwise(EDGES):
        mine = scores[(margins >= low) & (margins < high)]
        report(f"{low} to {high}", mine)
    report(f"from {CLEAR:g} on", scores[margins >= CLEAR])
    report("below", scores[margins < CLEAR])
    report("all", scores)
    asked, agreed, right = cells(options.data, options.limit, reader)
    print(f"cells: of {asked} rows one for {agreed}, the right one for {right}")


if __name__ == "__main__":
    main()
