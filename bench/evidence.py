"""How often a question's own passage is ranked first among 20 that the retriever found hard to tell apart.

    python -m bench.evidence DATA NEGATIVES [--model DIR] [--limit N] [--json]

NEGATIVES is what rag.training.hard_negatives wrote; only questions with all 19 other candidates count. The reader ranks
by its evidence head, beside BM25, dense retrieval and their fusion. --model: a folder that models.training.train wrote,
in place of the shipped weights.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import note, parser_of, report
from models.common.metrics import mean
from models.reader.extractive_reader import Reader
from models.reader.windows import Passage
from models.training.evaluate import open_reader
from models.training.question_sets import STANDALONE_SETS, QaRow, read_qa

CHANNELS = ("bm25", "dense", "fused")
CANDIDATES = 19


def own_first(reader: Reader, row: QaRow, negatives: dict[str, Any]) -> dict[str, bool]:
    """Ranking -> whether the question's own passage comes first."""
    candidates = negatives["candidates"]
    first = {}
    for channel in CHANNELS:
        own = negatives["own_ranks"].get(channel, np.inf)
        first[channel] = own < min(one["ranks"].get(channel, np.inf) for one in candidates)
    passages = [Passage(row.context, row.title), *(Passage(one["text"], one["title"]) for one in candidates)]
    found = reader.read_pairs([(row.question, passage) for passage in passages])
    both = [one.evidence + one.answerable + one.span / 2 for one in found]
    first["evidence head"] = int(np.argmax([one.evidence for one in found])) == 0
    return first | {"both heads and the span": int(np.argmax(both)) == 0}


def main() -> None:
    parser = parser_of("evidence", __doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("negatives", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="questions of a set (100)")
    options = parser.parse_args()
    reader, figures, everything = open_reader(options.model), {}, []
    for name in STANDALONE_SETS:
        path = options.negatives / "dev" / f"{name}.jsonl.gz"
        if not path.exists():
            continue
        rows = read_qa(options.data / "qa" / "dev" / f"{name}.jsonl.gz")
        with gzip.open(path, "rt") as file:
            lines = [json.loads(line) for line in file]
        pairs = [(row, line) for row, line in zip(rows, lines, strict=True) if len(line["candidates"]) == CANDIDATES]
        found = [own_first(reader, row, line) for row, line in pairs[: options.limit]]
        if found:
            figures[name] = shares(found)
            everything += found
            note(f"{name}: {len(found)} questions")
    report(parser, options, figures | {"all": shares(everything)})


def shares(found: list[dict[str, bool]]) -> dict[str, Any]:
    return {ranking: mean([one[ranking] for one in found]) for ranking in found[0]} if found else {}


if __name__ == "__main__":
    main()
