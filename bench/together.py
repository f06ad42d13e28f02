"""Questions asked at the same time, read together and each by itself: `python bench/together.py --index DIR [--questions N]`.

The questions are those about data/sample. Both ways take turns, so that a noisy machine is noisy for both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.sample import QUESTIONS
from rag.pipeline import RagPipeline

IN_FLIGHT = (1, 4, 16)
ROUNDS = 3


def about_sample() -> list[str]:
    return [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def asked(rag: RagPipeline, questions: list[str], in_flight: int) -> tuple[float, list[float], list[tuple[str, float]]]:
    """Seconds for all, seconds of each, and what was answered."""

    def ask(question: str) -> tuple[float, tuple[str, float]]:
        began = time.perf_counter()
        answer = rag.ask(question)
        return time.perf_counter() - began, (answer.text, answer.confidence)

    began = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as threads:
        done = list(threads.map(ask, questions))
    return time.perf_counter() - began, [seconds for seconds, _ in done], [answer for _, answer in done]


def compared(index: Path, questions: list[str], rounds: int) -> Iterator[tuple[int, str, dict[str, float]]]:
    """(in flight, way, its figures)."""
    ways = {"together": RagPipeline.from_index(index, together=1), "each by itself": RagPipeline.from_index(index)}
    answers = {name: asked(rag, questions, 1)[2] for name, rag in ways.items()}  # so that states of blocks are kept for both
    for count in IN_FLIGHT:
        runs = [{name: asked(rag, questions, count) for name, rag in ways.items()} for _ in range(rounds)]
        for name in ways:
            times = sorted(seconds for run in runs for seconds in run[name][1])
            yield count, name, {
                "questions/s": round(statistics.median(len(questions) / run[name][0] for run in runs), 2), "p50 s": round(times[len(times) // 2], 2),
                "p95 s": round(times[int(0.95 * len(times))], 2),
                "answers unlike those of one at a time": sum(mine[0] != theirs[0] for run in runs for mine, theirs in zip(run[name][2], answers[name], strict=True)),
            }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=48)
    options = parser.parse_args()
    for count, name, figures in compared(options.index, about_sample()[: options.questions], ROUNDS):
        print(f"{count} in flight, {name}: " + "  ".join(f"{what} {value}" for what, value in figures.items()))


if __name__ == "__main__":
    main()
