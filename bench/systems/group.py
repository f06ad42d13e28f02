"""Grouped-query attention with fewer or more key-value heads: bytes a token, speed and F1 of writing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from bench.systems.common import Row, answered, development, drawn, fastest, grounded, prepare
from models.common.checkpoint import open_model
from models.network.grounded import GroundedForCausalLM
from models.reader.sequences import CLS
from models.systems.grouped_query import bytes_a_token, group
from models.training.presets import distilled
from models.training.question_sets import QaRow
from models.training.train import fit
from models.training.training_loop import TrainConfig

EACH, LEARNED = 8, 120  # questions of a set to answer, and to train on
ROWS, WRITTEN, SLOTS = 8, 48, 512  # sequences to write at once, tokens of each, slots of memory
CONFIG = TrainConfig(epochs=1, batches=12, tokens=1536, evaluate_every=10_000)


def measure(data: Path) -> Iterator[Row]:
    rows = development(data, EACH)
    one = group(grounded(), 1)
    yield _row("2 (shipped)", grounded(), rows)
    yield _row("6, each repeated", group(grounded(), 6), rows)
    yield _row("1 (MQA), the mean", one, rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fit(distilled(one, grounded(), prepare(drawn(data, LEARNED), folder / "prepared")), CONFIG, folder / "run")
        yield _row("1 (MQA), distilled", open_model(GroundedForCausalLM, folder / "run" / "model").eval(), rows)


def _row(form: str, model: GroundedForCausalLM, rows: Sequence[QaRow]) -> Row:
    sizes, seconds = bytes_a_token(model.config), fastest(lambda: write(model), 2)
    return Row("keys and values", form, {
        "bytes a token in the cache": sizes["cache"], "bytes a token in memory": sizes["memory"],
        "tokens/s": round(ROWS * WRITTEN / seconds),
        "F1, written": answered(model, rows, greedy=True)["F1"], "F1, verified": answered(model, rows)["F1"],
    })  # fmt: skip


@torch.inference_mode()
def write(model: GroundedForCausalLM) -> None:
    """Write WRITTEN tokens over a random memory."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(ROWS, SLOTS, model.config.memory_config.hidden_size, generator=generator)
    ids = torch.randint(1000, model.config.vocab_size, (ROWS, SLOTS), generator=generator)
    memory = model.remember(states, ids, torch.ones_like(ids))
    lengths = {"min_new_tokens": WRITTEN, "max_new_tokens": WRITTEN}
    model.generate(torch.full((ROWS, 1), CLS), do_sample=False, **lengths, **memory.inputs())
