"""How often the answer that is said again after its sentence is beside the point, by how clearly it beats another one there: `python bench/margins.py DATA [--limit N]`.

Development questions, the sentence that holds the answer given. Beside the point: F1 below 0.3.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from indexing.sentences import sentences
from models import shipped
from models.metrics import squad
from models.qa import read_qa
from models.reader import Reader
from models.windows import Passage
from rag.generators.quote import LONGEST_SHORT

SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "tatqa", "fairytaleqa", "covidqa", "policyqa")
EDGES = (-np.inf, 1, 2, 3, 4, 6, 9, np.inf)
BESIDE = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=120, help="questions of a set")
    options = parser.parse_args()
    reader, found = Reader(shipped.encoder(shipped.describe())), []
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


if __name__ == "__main__":
    main()
