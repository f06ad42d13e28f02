"""The flags of every trainer: one for each field of its configuration, a dataclass of plain values."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from typing import TypeVar

from models.training.training_loop import TrainConfig

Config = TypeVar("Config")


def add(parser: argparse.ArgumentParser, kind: type = TrainConfig) -> None:
    for field in fields(kind):
        value = {"action": "store_true"} if field.type == "bool" else {"type": {"int": int, "float": float, "str": str}[field.type]}
        parser.add_argument("--" + field.name.replace("_", "-"), default=None, help=f"see {kind.__module__}.{kind.__name__}", **value)


def given(options: argparse.Namespace, defaults: Config) -> Config:
    """The defaults with what was asked for. Raises TrainError."""
    return replace(defaults, **{field.name: value for field in fields(defaults) if (value := getattr(options, field.name)) is not None})
