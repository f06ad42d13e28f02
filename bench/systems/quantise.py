"""The reader in int8 and int4 by torchao, with and without QAT, against float32 and the shipped int8 ONNX graphs.

F1 is the span head's, as in answers from an index; it does not show what rounding costs the decoder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.systems.common import Row, development, drawn, grounded, prepare
from models.common.checkpoint import open_model
from models.network.grounded import GroundedForCausalLM
from models.network.torch_reader import TorchEncoder
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader, sigmoid
from models.reader.types import Compute
from models.systems.quantise import METHODS, RECIPE, quantised, trained
from models.training.cost_meter import Meter
from models.training.evaluate import evaluate_qa
from models.training.question_sets import QaRow

EACH = 24  # questions of each development file to answer
LEARNED = 120  # questions of each training file to train on
BRIEF = replace(RECIPE, batches=10)
TRAINED = ("int8-dynamic", "int4")


def measure(data: Path) -> Iterator[Row]:
    rows, weights = development(data, EACH), shipped_weights.FOLDER / shipped_weights.WEIGHTS
    figures = {**read(shipped_weights.encoder(shipped_weights.describe()), rows), "MB on disk": megabytes(weights)}
    yield Row("quantisation", "int8 as shipped (ONNX Runtime)", figures)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        yield opened("float32", grounded(), made, rows)
        for method in METHODS:
            yield opened(method, quantised(grounded(), method), made, rows)
        prepared = prepare(drawn(data, LEARNED), made / "prepared")
        for method in TRAINED:
            model = trained(grounded(), method, prepared, BRIEF, made / f"{method}.run")
            yield opened(f"{method}, trained {BRIEF.batches} batches", quantised(model, method), made, rows)


def opened(form: str, model: GroundedForCausalLM, made: Path, rows: Sequence[QaRow]) -> Row:
    """The figures of a model that was saved and opened again."""
    model.save_pretrained(made / form)
    again = open_model(GroundedForCausalLM, made / form).eval()
    figures = {**read(TorchEncoder(again), rows), "MB on disk": megabytes(made / form / shipped_weights.WEIGHTS)}
    return Row("quantisation", form, figures)


def read(compute: Compute, rows: Sequence[QaRow]) -> dict[str, float]:
    """F1 of the span head, and tokens that the encoder reads a second."""
    meter = Meter(compute)
    found = evaluate_qa(Reader(meter), rows, lambda finding: sigmoid(finding.answerable))
    return {"F1": round(found.f1.value, 3), "tokens a second": round(meter.tokens / meter.seconds)}


def megabytes(file: Path) -> float:
    return round(file.stat().st_size / 1e6, 1)
