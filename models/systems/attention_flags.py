"""The flags of how a model attends, of trainers and of models.training.evaluate. Without them transformers' default stands, SDPA, which takes the flash or the
memory-efficient kernel (arXiv 2205.14135, 2112.05682) where the device has it; models.training.presets and models.training.finetune train the memory encoder in "eager" on a CPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from models.common.errors import AttentionError
from models.reader.sequences import BLOCK_POSITION

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Attend = Callable[["PreTrainedModel"], None]
SPARSE = "sparse"  # models.systems.sparse_attention
WAYS = ("eager", "sdpa", SPARSE)
NEAR, FIRST = 128, BLOCK_POSITION  # of sparse attention; the question that upper layers see stands first


def add(parser: argparse.ArgumentParser, *, sparse: bool = True) -> None:
    parser.add_argument("--attention", choices=WAYS if sparse else WAYS[:2], help="how torch attends: all scores at once, fused, or to near and first tokens alone")
    if sparse:
        parser.add_argument("--attention-window", type=int, help=f"of sparse attention: tokens to each side ({NEAR})")
        parser.add_argument("--attention-globals", type=int, help=f"of sparse attention: first tokens that all others read ({FIRST})")


def given(options: argparse.Namespace) -> Attend | None:
    """What has a model attend as was asked; None where nothing was. Raises AttentionError."""
    window, first = getattr(options, "attention_window", None), getattr(options, "attention_globals", None)
    if options.attention == SPARSE:
        return partial(_sparse, window=NEAR if window is None else window, first=FIRST if first is None else first)
    if (window, first) != (None, None):
        raise AttentionError("--attention-window and --attention-globals are of sparse attention: give --attention sparse too")
    return partial(_dense, how=options.attention) if options.attention else None


def _sparse(model: PreTrainedModel, window: int, first: int) -> None:
    from models.systems.sparse_attention import choose

    choose(model.config, window, first)


def _dense(model: PreTrainedModel, how: str) -> None:
    model.config._attn_implementation = how  # of its memory encoder too
