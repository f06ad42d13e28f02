"""A decoder of Mamba-2 layers beside the transformer: answers after the same short training, and tokens a second by length."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from bench.systems.common import Row, answered, development, drawn, fastest, grounded, prepare, taught
from models.network.grounded import GroundedForCausalLM
from models.systems.state_space import mixers, with_state_space
from models.training.question_batches import Questions

LEARNED, ASKED = 60, 20  # questions of each set
BATCHES = 16
LENGTHS = (128, 512, 2048, 8192)
WRITTEN = 8  # tokens, the fastest of which counts


def measure(data: Path) -> Iterator[Row]:
    rows = development(data, ASKED)
    hybrid = with_state_space(grounded())
    fresh = mixers(hybrid.config)
    with tempfile.TemporaryDirectory() as folder:
        learned = Questions(prepare(drawn(data, LEARNED), Path(folder) / "train"))
        for form, model in (("transformer, the same layers anew", redrawn(grounded(), fresh)), ("Mamba-2 but for one layer", hybrid)):
            model = taught(model, learned, BATCHES, Path(folder) / form, fresh)
            yield Row("state-space layers", form, {"F1": answered(model, rows, greedy=True)["F1"], **speeds(model)})
    yield Row("state-space layers", "transformer as shipped", {"F1": answered(grounded(), rows, greedy=True)["F1"]})


def redrawn(model: GroundedForCausalLM, names: tuple[str, ...]) -> GroundedForCausalLM:
    """With new weights where the names begin so: a transformer that has as much to learn as the hybrid."""
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if name.startswith(names):
            torch.nn.init.normal_(weight, std=model.config.initializer_range)
    return model


@torch.inference_mode()
def speeds(model: GroundedForCausalLM) -> dict[str, int]:
    """Tokens a second at each length: of reading so many at once, and of writing one by one after so many."""
    figures = {}
    for length in LENGTHS:
        ids = torch.randint(1000, model.config.vocab_size, (1, length))
        rounds = 3 if length < max(LENGTHS) else 1
        figures[f"reads {length}"] = round(length / fastest(lambda ids=ids: model(ids, logits_to_keep=1, use_cache=False), rounds))
        cache = model(ids, logits_to_keep=1, use_cache=True).past_key_values

        figures[f"writes at {length}"] = round(1 / fastest(lambda ids=ids[:, :1], cache=cache: model(ids, past_key_values=cache, use_cache=True), WRITTEN))
    return figures
