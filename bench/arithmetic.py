"""How many questions of arithmetic over a table are computed rightly: the development part of TAT-QA.

    python -m bench.arithmetic DATA [--split train] [--limit N] [--given] [--json]

Each question is asked over its own document alone: its table and the text beside it, as an HTML page in an index of its
own. --given: the table is handed to the calculator, and nothing is retrieved. Right is a result within half a percent,
as the set's own answers are rounded; its sign does not count, for "the decrease" is said without one.
"""

from __future__ import annotations

import gzip
import html
import json
import tempfile
from collections import Counter
from pathlib import Path

from bench.common import note, parser_of, report
from indexing.build.run import build
from indexing.types import Locator, Modality
from models.common.cell_separator import CELL
from rag.calculate.answer import computed
from rag.calculate.quantities import quantities
from rag.pipeline import RagPipeline
from rag.question_kind import COMPUTED
from rag.types import Context, Draft, Evidence
from rag.understand import understand

TOLERANCE, ROUNDING = 0.005, 0.006


def is_right(said: str, answer: str | float) -> bool:
    """Whether the first quantity of an answer, which stands before its colon, is the right number."""
    found = quantities(said.partition(":")[0]) or quantities(said)
    wanted = quantities(str(answer))
    if not found or not wanted:
        return False
    value, right = abs(float(found[0].value)), abs(float(wanted[0].value))
    return abs(value - right) <= TOLERANCE * right + ROUNDING


def page(row: dict) -> str:
    """The document of a question."""
    text = row["context"].split("\n")
    prose = [line for line in text if CELL.strip() not in line]
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in row["table"]]
    table = "".join(f"<tr>{line}</tr>" for line in cells)
    paragraphs = "".join(f"<p>{html.escape(one)}</p>" for one in prose)
    return f"<html><body>{paragraphs}<table>{table}</table></body></html>"


def given(row: dict) -> Draft | None:
    """The draft of a question whose table is handed over."""
    header, *lines = [CELL.join(cell.strip() for cell in line) for line in row["table"]]
    text = "\n".join(lines)
    headings = (header,) if CELL in header else ()
    at = Locator("t.html", None, 0, len(text))
    piece = Evidence("t", at.document, None, text, 1.0, {}, at, headings, Modality.TABLE)
    kind = understand(row["question"]).kind
    return computed(row["question"], kind, Context((piece,), tables={0: (piece,)})) if kind in COMPUTED else None


def asked(row: dict) -> tuple[str, bool]:
    """The answer over an index of the question's document alone, and whether it was computed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "document.html"
        path.write_text(page(row), encoding="utf-8")
        build([path], Path(folder) / "index")
        answer = RagPipeline.from_index(Path(folder) / "index").ask(row["question"])
    return "" if answer.abstained else answer.text, "computed" in answer.trace["generation"]


def main() -> None:
    parser = parser_of("arithmetic", __doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="dev", choices=["train", "dev"])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--given", action="store_true", help="hand the table over")
    options = parser.parse_args()
    with gzip.open(options.data / "qa" / options.split / "tatqa_arithmetic.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file][: options.limit]
    counts: Counter[str] = Counter()
    by_confidence: dict[float, list[int]] = {}
    for number, row in enumerate(rows):
        if options.given:
            draft = given(row)
            text, is_computed = (draft.text, True) if draft else ("", False)
            if draft:
                tally = by_confidence.setdefault(draft.confidence, [0, 0])
                tally[0], tally[1] = tally[0] + is_right(text, row["answer"]), tally[1] + 1
        else:
            text, is_computed = asked(row)
        outcome = "declined" if not text else "right" if is_right(text, row["answer"]) else "wrong"
        counts[f"{outcome}{', computed' if is_computed and text else ', quoted' if text else ''}"] += 1
        if number % 20 == 19:
            note(f"{number + 1} of {len(rows)}: {dict(counts)}")
    right = sum(count for name, count in counts.items() if name.startswith("right")) / len(rows)
    shares = {f"right at confidence {one}": f"{tally[0]} of {tally[1]}" for one, tally in sorted(by_confidence.items())}
    figures = {"questions": len(rows), "right": round(right, 3), **dict(sorted(counts.items())), **shares}
    report(parser, options, figures)


if __name__ == "__main__":
    main()
