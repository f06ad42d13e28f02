"""A decoder of Mamba-2 layers against the transformer: F1 after the same training, and speed by length."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.systems.common import Row, answered, development, drawn, fastest, grounded, prepare, taught
from models.network.grounded import GroundedForCausalLM
from models.systems.state_space import mixers, with_state_space
from models.training.question_batches import Questions

if TYPE_CHECKING:
    from transformers import Cache

LEARNED, ASKED = 60, 20  # questions of each set to train on, and to answer
BATCHES = 16
LENGTHS = (128, 512, 2048, 8192)
WRITTEN = 8  # tokens to write; the fastest counts


def measure(data: Path) -> Iterator[Row]:
    rows = development(data, ASKED)
    hybrid = with_state_space(grounded())
    fresh = mixers(hybrid.config)
    with tempfile.TemporaryDirectory() as folder:
        learned = Questions(prepare(drawn(data, LEARNED), Path(folder) / "train"))
        forms = {"transformer, the same layers anew": redrawn(grounded(), fresh), "Mamba-2 but for one layer": hybrid}
        for form, model in forms.items():
            model = taught(model, learned, BATCHES, Path(folder) / form, fresh)
            yield Row("state-space layers", form, {"F1": answered(model, rows, greedy=True)["F1"], **speeds(model)})
    yield Row("state-space layers", "transformer as shipped", {"F1": answered(grounded(), rows, greedy=True)["F1"]})


def redrawn(model: GroundedForCausalLM, names: tuple[str, ...]) -> GroundedForCausalLM:
    """Random weights where the names begin so: a transformer with as many untrained layers as the hybrid."""
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if name.startswith(names):
            torch.nn.init.normal_(weight, std=model.config.initializer_range)
    return model


@torch.inference_mode()
def speeds(model: GroundedForCausalLM) -> dict[str, int]:
    """Tokens a second at each length: reading so many at once, and writing one by one after so many."""

    def read(ids: torch.Tensor) -> None:
        model(ids, logits_to_keep=1, use_cache=False)

    def write(ids: torch.Tensor, cache: Cache) -> None:
        model(ids[:, :1], past_key_values=cache, use_cache=True)

    figures = {}
    for length in LENGTHS:
        ids = torch.randint(1000, model.config.vocab_size, (1, length))
        rounds = 3 if length < max(LENGTHS) else 1
        figures[f"reads {length}"] = round(length / fastest(partial(read, ids), rounds))
        cache = model(ids, logits_to_keep=1, use_cache=True).past_key_values
        figures[f"writes at {length}"] = round(1 / fastest(partial(write, ids, cache), WRITTEN))
    return figures
