"""The questions about data/sample, counted: `python bench/sample.py --index DIR [--generator NAME] [--each]`.

In the quote: an expected answer stands in a citation's quote. Cited: a citation is of the right document and page.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from rag.pipeline import RagPipeline
from rag.types import Answer

QUESTIONS = Path(__file__).parents[1] / "tests" / "sample_questions.jsonl"


def outcome(question: dict, answer: Answer) -> str:
    if question["unanswerable"]:
        return "declined" if answer.abstained else "should be declined"
    if answer.abstained:
        return "refused"
    quotes = [" ".join(cited.quote.lower().split()) for cited in answer.citations]
    if any(" ".join(text.lower().split()) in quote for quote in quotes for text in question["answers"]):
        return "in the quote"
    places = [(cited.document, cited.page) for cited in answer.citations]
    return "cited" if (question["document"], question["page"]) in places else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--generator", default="embedded")
    parser.add_argument("--each", action="store_true", help="print every question")
    options = parser.parse_args()
    rag, counts, times = RagPipeline.from_index(options.index, generator=options.generator), {}, []
    for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
        question, began = json.loads(line), time.perf_counter()
        answer = rag.ask(question["question"])
        times.append(time.perf_counter() - began)
        kind = outcome(question, answer)
        counts[kind] = counts.get(kind, 0) + 1
        if options.each:
            print(f"{kind:<18} {answer.confidence:.2f}  {question['question']}  {answer.text[:90]!r}")
    counted = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    print(f"{counted}; {statistics.median(times):.2f} s in the median")


if __name__ == "__main__":
    main()
