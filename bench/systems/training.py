"""Gradient checkpointing and bf16: a step of the shipped model's training with and without each.

Each form runs in a process of its own.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.systems.common import Row, drawn, fresh, prepare
from models.reader import shipped_weights
from models.training.presets import embedded
from models.training.training_loop import TrainConfig, resolve_precision, train

LEARNED = 60  # questions of a set
TOKENS, STEPS = 4096, 3
FORMS: dict[str, dict[str, Any]] = {
    "fp32": {"precision": "fp32"},
    "fp32, gradient checkpointing": {"precision": "fp32", "gradient_checkpointing": True},
    "bf16": {"precision": "bf16"},
    "bf16, gradient checkpointing": {"precision": "bf16", "gradient_checkpointing": True},
}


def measure(data: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        prepared = prepare(drawn(data, LEARNED), Path(name) / "prepared")
        for form, flags in FORMS.items():
            if flags["precision"] == "bf16" and resolve_precision("auto") != "bf16":
                yield Row("training", form, {"not measured": "this processor does not multiply bf16"})
                continue
            yield Row("training", form, fresh(steps, prepared, Path(name) / form, flags))


def steps(prepared: Path, out: Path, flags: dict[str, Any]) -> dict[str, float]:
    """Peak memory and seconds of a step, over STEPS steps on one batch."""
    task = embedded(prepared, shipped_weights.FOLDER)
    batch = task.examples.batch(task.examples.order(TOKENS, 0, 0)[0])
    begun: list[float] = []

    def timed(model: Any, batch: Any) -> Any:
        begun.append(time.perf_counter())
        return task.loss(model, batch)

    train(task.model, lambda epoch: [batch] * STEPS, timed, TrainConfig(epochs=1, tokens=TOKENS, **flags), out)
    taken = [after - before for before, after in pairwise(begun)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak MB": round(peak), "s a step": round(min(taken), 2)}
