"""Pruned heads and channels, and fewer layers, before and after distillation from the shipped model."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.systems.common import Row, answered, development, drawn, grounded, prepare
from models.common.checkpoint import open_model
from models.network.grounded import GroundedForCausalLM
from models.systems.distill import fewer_layers
from models.systems.prune import prune
from models.training.presets import distilled
from models.training.train import fit
from models.training.training_loop import TrainConfig

EACH = 8  # questions of a set to answer
LEARNED = 120  # questions of a set to train on
CONFIG = TrainConfig(epochs=1, batches=24, tokens=1536, evaluate_every=10_000)

FORMS: dict[str, Callable[[GroundedForCausalLM, Path], GroundedForCausalLM]] = {
    "heads and channels -25 %": lambda model, data: prune(model, 0.25, 0.25, data),
    "heads and channels -50 %": lambda model, data: prune(model, 0.5, 0.5, data),
    "4 of 6 and 2 of 4 layers": lambda model, _: fewer_layers(model, layers=2, memory_layers=4),
}


def measure(data: Path) -> Iterator[Row]:
    rows = development(data, EACH)
    shipped = grounded()
    yield Row("smaller", "shipped", {"million weights": _millions(shipped), **answered(shipped, rows)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = prepare(drawn(data, LEARNED), folder / "prepared")
        for form, make in FORMS.items():
            student = make(grounded(), prepared)
            before = answered(student, rows)
            began = time.perf_counter()
            fit(distilled(student, grounded(), prepared), CONFIG, folder / form)
            seconds = time.perf_counter() - began
            after = answered(open_model(GroundedForCausalLM, folder / form / "model").eval(), rows)
            yield Row("smaller", form, {
                "million weights": _millions(student), "F1 before": before["F1"], **after,
                "seconds of learning": round(seconds),
            })  # fmt: skip


def _millions(model: GroundedForCausalLM) -> float:
    """11.7 of them are word vectors, which every form has."""
    return round(model.num_parameters() / 1e6, 1)
