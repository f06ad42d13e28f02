"""Whether the very passage is found, not only its document: recall of a quote on questions about documents of one form.

    python bench/passages.py QUESTIONS.jsonl --index DIR

A line of QUESTIONS names a question, the end of the document's name, and some words of the passage (white space aside).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rag import RagPipeline
from rag.beir import Question, read_questions

DEPTHS = (1, 5, 10)
CHANNELS = {"dense": ("dense",), "bm25": ("bm25",), "fused": ("dense", "bm25")}


def found_at(rag: RagPipeline, question: Question, channels: tuple[str, ...]) -> int:
    """The rank of the passage, from 1; one more than the last depth when it is not that near the top."""
    for rank, hit in enumerate(rag.search(question.question, max(DEPTHS), channels=channels), 1):
        if hit.document.endswith(question.documents[0]) and question.quote in " ".join(hit.text.split()):
            return rank
    return max(DEPTHS) + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    options = parser.parse_args()
    questions, rag = read_questions(options.questions), RagPipeline.from_index(options.index)
    for name, channels in CHANNELS.items():
        ranks = [found_at(rag, question, channels) for question in questions]
        shares = ", ".join(f"{sum(rank <= depth for rank in ranks)} at {depth}" for depth in DEPTHS)
        print(f"{name}: {shares} of {len(ranks)}; ranks {ranks}")


if __name__ == "__main__":
    main()
