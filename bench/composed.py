"""How many questions that ask for more than one quoted sentence are answered rightly, on data/sample.

    python -m bench.composed --index DIR [--json] [--show]

The questions are those of tests/sample_composed_questions.jsonl, written before any was asked. An answer counts as
right where its text holds all that the question's line expects, and it is not declined.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from bench.common import parser_of, report
from rag.pipeline import RagPipeline

QUESTIONS = Path(__file__).parents[1] / "tests" / "sample_composed_questions.jsonl"


def right(text: str, expected: list[str]) -> bool:
    """Whether a text holds all of these as whole words, whatever its case and white space."""
    low = " ".join(text.lower().split())
    return all(re.search(rf"(?<![\w.,]){re.escape(one.lower())}(?!\w|[.,]\d)", low) for one in expected)


def main() -> None:
    parser = parser_of("composed", __doc__)
    parser.add_argument("--index", type=Path, required=True, help="an index of data/sample")
    parser.add_argument("--show", action="store_true", help="print the answers")
    options = parser.parse_args()
    rag = RagPipeline.from_index(options.index)
    found: dict[str, list[bool]] = defaultdict(list)
    for row in map(json.loads, QUESTIONS.read_text(encoding="utf-8").splitlines()):
        answer = rag.ask(row["question"])
        good = not answer.abstained and right(answer.text, row["expect"])
        found[row["kind"]].append(good)
        if options.show:
            print("+" if good else "-", row["kind"], "|", row["question"], "|", " ".join(answer.text.split())[:300])
    figures = {kind: f"{sum(each)} of {len(each)}" for kind, each in found.items()}
    every = [one for each in found.values() for one in each]
    report(parser, options, {"right": f"{sum(every)} of {len(every)}", **figures})


if __name__ == "__main__":
    main()
