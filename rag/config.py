"""RagConfig: what a pipeline may be told. Environment variables FOLIO_NAME and flags override it; unknown keys are errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from models.common.errors import FolioError


class ConfigError(FolioError):
    """A setting that does not exist or cannot be what it was set to."""


@dataclass(frozen=True, slots=True)
class RagConfig:
    """generator: `quote`, `embedded`, `openai:URL`, `hf:PATH_OR_ID`. embedder: a name that must be the index's, "" = the index's own.

    depth: results taken from each channel. top_k: evidence kept for an answer. context_tokens: room for the evidence in
    front of the generator. threshold: least confidence of an answer, -1 = the one that was fitted. risk: instead, the share of
    answers that may be wrong, from which the threshold follows. budget: thousand million operations that the embedded reader may spend on an
    answer, 0 = no limit: it reads the best evidence first, and what it cannot afford is judged by likeness and shared words. adapter: a folder that `python -m models.training.finetune` wrote, of embedded.
    reader: a folder that `python -m models.systems.quantise` or models.training.train wrote, which embedded reads with in torch in place of the shipped graphs.
    together: 1 to read questions that are asked at the same time together (models.reader.batching), which does not pay on two cores.
    download: 1 to fetch models from their hub that are not on this machine; else no name in an index makes a connection.
    """

    generator: str = "embedded"
    embedder: str = ""
    depth: int = 100
    top_k: int = 10
    context_tokens: int = 2000
    threshold: float = -1.0
    risk: float = -1.0
    budget: float = 0.0
    adapter: str = ""
    reader: str = ""
    together: int = 0
    download: int = 0

    def __post_init__(self) -> None:
        for name in ("depth", "top_k", "context_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1")
        for name in ("together", "download"):
            if getattr(self, name) not in (0, 1):
                raise ConfigError(f"{name} is 0 or 1")
        if not self.budget >= 0:
            raise ConfigError("budget must be at least 0")
        for name in ("threshold", "risk"):
            if not (getattr(self, name) == -1 or 0 <= getattr(self, name) <= 1):
                raise ConfigError(f"{name} must be between 0 and 1")
        if self.threshold >= 0 and self.risk >= 0:
            raise ConfigError("give threshold or risk, not both")
        if self.adapter and self.reader:
            raise ConfigError("give adapter or reader, not both: an adapter goes with the shipped reader")

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ, **flags: Any) -> RagConfig:
        """The defaults, overridden by FOLIO_* variables, overridden by flags that are not None. Raises ConfigError."""
        types = {field.name: type(field.default) for field in fields(cls)}
        given: dict[str, Any] = {
            name.removeprefix("FOLIO_").lower(): value for name, value in environment.items() if name.startswith("FOLIO_")
        }
        given |= {name: value for name, value in flags.items() if value is not None}
        values = {}
        for name, value in given.items():
            if name not in types:
                raise ConfigError(f"unknown setting {name!r}: there are {', '.join(types)}")
            try:
                values[name] = types[name](value)
            except ValueError as error:
                raise ConfigError(f"{name} must be a {types[name].__name__}, not {value!r}") from error
        return cls(**values)
