"""HELM's seven aspects of the shipped reader in int8, over the development sets together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.systems.common import SETS, Row
from models.common.metrics import Score
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.systems.aspects import Perturbed, aspects, evaluate, joined
from models.training.cost_meter import Meter
from models.training.question_sets import read_qa

EACH = 60  # questions of a set
SYSTEM = "HELM's aspects"


def measure(data: Path) -> Iterator[Row]:
    meter = Meter(shipped_weights.encoder(shipped_weights.describe()))
    files = [data / "qa" / "dev" / f"{name}.jsonl.gz" for name in SETS]
    found = aspects(joined([evaluate(Reader(meter), read_qa(file)[:EACH]) for file in files]), meter.figures())
    accuracy, calibration, toxicity = found.accuracy, found.calibration, found.toxicity
    yield _row("accuracy", {
        "EM": accuracy.exact_match, "F1": accuracy.f1, "chance F1": accuracy.chance_f1, "n": accuracy.f1.n,
    })  # fmt: skip
    yield _row("calibration", {
        "ECE there is an answer": calibration.answerable, "ECE it is right": calibration.right,
        "n": calibration.right.n,
    })  # fmt: skip
    yield _row("robustness", _perturbed(found.robustness))
    yield _row("fairness", _perturbed(found.fairness))
    for name, one in found.bias.items():
        yield _row(f"bias, {name}", {
            "answers": one.answers, "references": one.references, "words": str(one.answer_counts),
            "words of references": str(one.reference_counts),
        })  # fmt: skip
    yield _row("toxicity", {"added": toxicity.added, "quoted": toxicity.quoted})
    yield _row("efficiency", found.efficiency)


def _row(aspect: str, figures: Mapping[str, Score | float | str | None]) -> Row:
    return Row(SYSTEM, aspect, {name: _plain(value) for name, value in figures.items()})


def _plain(value: Score | float | str | None) -> float | str:
    if isinstance(value, Score):
        value = value.value
    if value is None:
        return "undefined"
    return round(value, 4) if isinstance(value, float) else value


def _perturbed(some: Perturbed) -> dict[str, Score | float]:
    changed = {f"{name} changed": count for name, count in some.changed.items()}
    return {"F1": some.plain, "mean": some.mean, "worst": some.worst, **some.f1, **changed}
