"""Dynamic batching against one question at a time: `python bench/together.py --index DIR [--questions N]`.

The questions are those about data/sample. Both pipelines take turns, so that load on the machine slows both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench.sample import QUESTIONS
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.reader.state_cache import StateCache
from models.systems.dynamic_batching import DynamicBatcher
from rag.calibration import calibration
from rag.generators import Resources, open_generator
from rag.pipeline import RagPipeline

IN_FLIGHT = (1, 4, 16)  # questions at the same time
ROUNDS = 3
UNLIKE = "answers unlike those of one at a time"


@dataclass(frozen=True, slots=True)
class Run:
    """seconds: of all questions, and of each. answers: text and confidence of each."""

    seconds: float
    latencies: list[float]
    answers: list[tuple[str, float]]


def sample_questions() -> list[str]:
    return [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def batched(index: Path) -> RagPipeline:
    """The default pipeline over an index, with a reader whose forward passes are batched across threads."""
    plain, weights, fitted = RagPipeline.from_index(index), shipped_weights.describe(), calibration()
    encoder = replace(shipped_weights.encoder(weights), cache=StateCache(index))
    reader = Reader(DynamicBatcher(encoder), shipped_weights.decoder(weights))
    generator = open_generator(plain.config, Resources(plain.embedder, fitted, reader))
    return RagPipeline(plain.index, plain.embedder, generator, plain.config, fitted, lambda _: reader)


def timed(rag: RagPipeline, questions: list[str], in_flight: int) -> Run:
    def ask(question: str) -> tuple[float, tuple[str, float]]:
        began = time.perf_counter()
        answer = rag.ask(question)
        return time.perf_counter() - began, (answer.text, answer.confidence)

    began = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as threads:
        done = list(threads.map(ask, questions))
    seconds = time.perf_counter() - began
    return Run(seconds, [latency for latency, _ in done], [answer for _, answer in done])


def compared(index: Path, questions: list[str], rounds: int) -> Iterator[tuple[int, str, dict[str, float]]]:
    """(questions in flight, pipeline, its figures)."""
    pipelines = {"together": batched(index), "each by itself": RagPipeline.from_index(index)}
    alone = {name: timed(rag, questions, 1).answers for name, rag in pipelines.items()}  # fills both state caches
    for count in IN_FLIGHT:
        runs = [{name: timed(rag, questions, count) for name, rag in pipelines.items()} for _ in range(rounds)]
        for name in pipelines:
            yield count, name, _figures([run[name] for run in runs], alone[name])


def _figures(runs: list[Run], alone: list[tuple[str, float]]) -> dict[str, float]:
    latencies = sorted(latency for run in runs for latency in run.latencies)
    pairs = [pair for run in runs for pair in zip(run.answers, alone, strict=True)]
    return {
        "questions/s": round(statistics.median(len(alone) / run.seconds for run in runs), 2),
        "p50 s": round(latencies[len(latencies) // 2], 2),
        "p95 s": round(latencies[int(0.95 * len(latencies))], 2),
        UNLIKE: sum(mine[0] != theirs[0] for mine, theirs in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=48)
    options = parser.parse_args()
    for count, name, figures in compared(options.index, sample_questions()[: options.questions], ROUNDS):
        print(f"{count} in flight, {name}: " + "  ".join(f"{what} {value}" for what, value in figures.items()))


if __name__ == "__main__":
    main()
