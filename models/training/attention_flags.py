"""The flag `--attention` of trainers and of models.training.evaluate: which of torch's kernels computes attention.

Without it transformers' default stands, SDPA, which takes the flash or the memory-efficient kernel (arXiv 2205.14135,
2112.05682) where the device has it. models.training.presets and models.training.finetune train the memory encoder in
"eager" on a CPU. models.systems.attention_flags has the same two functions with one way more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Attend = Callable[["PreTrainedModel"], "PreTrainedModel"]  # returns the model that attends as asked: often the same one
WAYS = ("eager", "sdpa")


def add(parser: argparse.ArgumentParser, ways: Sequence[str] = WAYS) -> None:
    parser.add_argument("--attention", choices=ways, help="how torch computes attention")


def given(options: argparse.Namespace) -> Attend | None:
    """What makes a model attend as asked; None where nothing was."""
    return partial(_dense, way=options.attention) if options.attention else None


def _dense(model: PreTrainedModel, way: str) -> PreTrainedModel:
    model.config._attn_implementation = way  # of its memory encoder too
    return model
