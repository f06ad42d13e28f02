"""RoPE scaling: the share of a list that a decoder copies, at one, two and four times the length of training.

The decoder is small and trained from random weights in less than a minute, on a list of different tokens followed by
the same list, which it has to repeat. It has no memory, so that only positions tell which token comes next.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from bench.systems.common import Row
from models.network.config import GroundedConfig, tiny
from models.network.grounded import GroundedForCausalLM
from models.reader.sequences import IGNORED
from models.systems.rope_scaling import SCALINGS, stretch
from models.training.training_loop import TrainConfig, train

VOCABULARY, WIDTH = 256, 64
TRAINED = 64  # tokens of both lists in training
FACTOR = 4
BATCHES, LISTS = 700, 64


def config() -> GroundedConfig:
    small = tiny(VOCABULARY).to_dict() | {
        "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 2, "head_dim": WIDTH // 4,
        "num_key_value_heads": 4, "cross_attention_layers": [1], "max_position_embeddings": TRAINED,
    }  # fmt: skip
    return GroundedConfig(**small)


def twice(length: int, lists: int = LISTS) -> torch.Tensor:
    """Lists of `length` / 2 different tokens, each followed by itself: (lists, length)."""
    once = torch.rand(lists, VOCABULARY).argsort(1)[:, : length // 2]
    return torch.cat((once, once), 1)


def loss(model: nn.Module, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    labels = ids.clone()
    labels[:, : ids.shape[1] // 2 + 1] = IGNORED  # nothing predicts the first token of the second list
    return {"loss": model(ids, labels=labels, use_cache=False).loss}


@torch.inference_mode()
def copied(model: GroundedForCausalLM, length: int) -> float:
    """The share of the second list's tokens, but for the first, that the model predicts."""
    ids = twice(length)
    half = length // 2
    return (model(ids, use_cache=False).logits[:, half:-1].argmax(-1) == ids[:, half + 1 :]).float().mean().item()


def measure(data: Path) -> Iterator[Row]:
    torch.manual_seed(0)
    batches = [twice(2 * int(half)) for half in torch.randint(4, TRAINED // 2 + 1, (BATCHES,))]
    with tempfile.TemporaryDirectory() as folder:
        how = TrainConfig(epochs=1, learning_rate=3e-3, warmup=0.15, weight_decay=0.0, precision="fp32")
        model = train(GroundedForCausalLM(config()), lambda _: batches, loss, how, Path(folder)).eval()
    for scaling in (None, *SCALINGS):
        scaled = deepcopy(model)
        if scaling:
            stretch(scaled, scaling, FACTOR, TRAINED)
        torch.manual_seed(1)
        figures = {f"copied at {times}x": round(copied(scaled, times * TRAINED), 3) for times in (1, 2, 4)}
        yield Row("positions beyond training", f"{scaling}, factor {FACTOR}" if scaling else "as trained", figures)
