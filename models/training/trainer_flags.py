"""Command-line flags of every trainer: one for each field of its configuration, a dataclass of plain values."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from typing import TypeVar

from models.training.training_loop import TrainConfig

Config = TypeVar("Config")
TYPES = {"int": int, "float": float, "str": str}


def add(parser: argparse.ArgumentParser, kind: type = TrainConfig) -> None:
    """A flag for each field of a dataclass; without it the value is None, and `given` takes the trainer's default."""
    for field in fields(kind):
        value = {"action": "store_true"} if field.type == "bool" else {"type": TYPES[field.type]}
        flag, about = "--" + field.name.replace("_", "-"), f"see {kind.__module__}.{kind.__name__}"
        parser.add_argument(flag, default=None, help=about, **value)


def given(options: argparse.Namespace, defaults: Config) -> Config:
    """The defaults, with the flags that were given. Raises TrainError for a value that the configuration refuses."""
    values = {field.name: getattr(options, field.name) for field in fields(defaults)}
    return replace(defaults, **{name: value for name, value in values.items() if value is not None})
