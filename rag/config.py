"""RagConfig: the settings of a pipeline. FOLIO_NAME variables and flags override defaults; unknown keys are errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from models.common.errors import FolioError

PREFIX = "FOLIO_"  # of the environment variables that are settings


class ConfigError(FolioError):
    """A setting that does not exist or cannot be what it was set to."""


@dataclass(frozen=True, slots=True)
class RagConfig:
    """generator: a name of rag.generators.

    embedder: a name that must be the index's; empty: the index's own.
    depth: results taken from each channel. top_k: pieces of evidence kept for an answer.
    context_tokens: room for the evidence in front of the generator.
    rerank: whether the reader orders the evidence anew. budget: thousand million operations that the reader may spend
    on a question, best evidence first; None: no limit.
    threshold: the least confidence of an answer; None: the fitted one. risk: instead, the share of answers that may be
    wrong, from which the threshold follows.
    adapter: a folder that `python -m models.training.finetune` wrote. reader: a folder with a model to read with in
    torch in place of the shipped graphs, from models.training.train or models.systems.quantise.
    download: whether models that are not on this machine may be fetched; else no name in an index makes a connection.
    """

    generator: str = "embedded"
    embedder: str = ""
    depth: int = 100
    top_k: int = 10
    context_tokens: int = 2000
    rerank: bool = True
    budget: float | None = None
    threshold: float | None = None
    risk: float | None = None
    adapter: str = ""
    reader: str = ""
    download: bool = False

    def __post_init__(self) -> None:
        for name in ("depth", "top_k", "context_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1")
        if self.budget is not None and not self.budget > 0:
            raise ConfigError("budget must be above 0")
        for name in ("threshold", "risk"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} must be between 0 and 1")
        if self.threshold is not None and self.risk is not None:
            raise ConfigError("give threshold or risk, not both")
        if self.adapter and self.reader:
            raise ConfigError("give adapter or reader, not both: an adapter goes with the shipped reader")

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ, **flags: Any) -> RagConfig:
        """The defaults, overridden by FOLIO_* variables, overridden by flags that are not None. Raises ConfigError."""
        readers = {field.name: _READERS[field.type] for field in fields(cls)}
        variables = [name for name in environment if name.startswith(PREFIX)]
        given: dict[str, Any] = {name.removeprefix(PREFIX).lower(): environment[name] for name in variables}
        given |= {name: value for name, value in flags.items() if value is not None}
        values = {}
        for name, value in given.items():
            if name not in readers:
                raise ConfigError(f"unknown setting {name!r}: there are {', '.join(readers)}")
            try:
                values[name] = readers[name](value)
            except (ValueError, KeyError) as error:
                raise ConfigError(f"{name} must be a {_KINDS[readers[name]]}, not {value!r}") from error
        return cls(**values)


def _flag(value: str | bool) -> bool:
    """True and False, or the words that environment variables have for them."""
    return value if isinstance(value, bool) else {"1": True, "true": True, "0": False, "false": False}[value.lower()]


_READERS: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "bool": _flag, "float | None": float}
_KINDS = {str: "text", int: "whole number", _flag: "0 or 1", float: "number"}
