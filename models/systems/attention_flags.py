"""The flags of models.training.attention_flags, and those of sparse attention (models.systems.sparse_attention)."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from models.common.errors import AttentionError
from models.training import attention_flags
from models.training.attention_flags import WAYS, Attend

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SPARSE = "sparse"
EXTENT = ("attention_window", "attention_globals")  # flags, and keyword arguments of with_sparse_attention


def add(parser: argparse.ArgumentParser) -> None:
    attention_flags.add(parser, (*WAYS, SPARSE))
    helped = ("tokens to each side", "first tokens that all others read")
    for name, text in zip(EXTENT, helped, strict=True):
        about = f"of sparse attention: {text}; default: see models.systems.sparse_attention"
        parser.add_argument("--" + name.replace("_", "-"), type=int, help=about)


def given(options: argparse.Namespace) -> Attend | None:
    """What makes a model attend as asked; None where nothing was. Raises AttentionError."""
    extent = {name: value for name in EXTENT if (value := getattr(options, name)) is not None}
    if options.attention == SPARSE:
        return partial(_sparse, **extent)
    if extent:
        raise AttentionError(
            "--attention-window and --attention-globals are of sparse attention: give --attention sparse too"
        )
    return attention_flags.given(options)


def _sparse(model: PreTrainedModel, **extent: int) -> PreTrainedModel:
    from models.systems.sparse_attention import with_sparse_attention

    return with_sparse_attention(model, **extent)
