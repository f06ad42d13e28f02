"""The flags of every trainer: one for each field of TrainConfig."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace

from models.loop import TrainConfig


def add(parser: argparse.ArgumentParser) -> None:
    for field in fields(TrainConfig):
        kind = {"action": "store_true"} if field.type == "bool" else {"type": {"int": int, "float": float, "str": str}[field.type]}
        parser.add_argument("--" + field.name.replace("_", "-"), default=None, help="see models.loop.TrainConfig", **kind)


def given(options: argparse.Namespace, defaults: TrainConfig) -> TrainConfig:
    """The defaults with what was asked for. Raises TrainError."""
    return replace(defaults, **{field.name: value for field in fields(TrainConfig) if (value := getattr(options, field.name)) is not None})
