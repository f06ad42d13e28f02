"""Whether the very passage is found, not only its document, in documents of one form.

    python -m bench.passages QUESTIONS.jsonl --index DIR [--json]

A line of QUESTIONS has a question, the end of the document's name, and words of the passage (white space aside).
"""

from __future__ import annotations

from pathlib import Path

from bench.common import parser_of, report
from rag import RagPipeline
from rag.beir import Question, read_questions

DEPTHS = (1, 5, 10)
CHANNELS = {"dense": ("dense",), "bm25": ("bm25",), "fused": ("dense", "bm25")}


def found_at(rag: RagPipeline, question: Question, channels: tuple[str, ...]) -> int:
    """The rank of the passage, from 1; the last depth plus one if the passage is not among the first hits."""
    for rank, hit in enumerate(rag.search(question.question, max(DEPTHS), channels=channels), 1):
        if hit.document.endswith(question.documents[0]) and question.quote in " ".join(hit.text.split()):
            return rank
    return max(DEPTHS) + 1


def main() -> None:
    parser = parser_of("passages", __doc__)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    options = parser.parse_args()
    questions, rag = read_questions(options.questions), RagPipeline.from_index(options.index)
    figures = {}
    for name, channels in CHANNELS.items():
        ranks = [found_at(rag, question, channels) for question in questions]
        found = {f"found at {depth}": sum(rank <= depth for rank in ranks) for depth in DEPTHS}
        figures[name] = {**found, "questions": len(ranks), "ranks": ranks}
    report(parser, options, figures)


if __name__ == "__main__":
    main()
