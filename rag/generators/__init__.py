"""The generators by name. `--generator` takes a name, and what that generator wants behind a colon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.config import ConfigError, RagConfig

if TYPE_CHECKING:
    from indexing.embedder import Embedder
    from models.reader.extractive_reader import Reader
    from rag.calibration import Calibration
    from rag.generators.protocol import Generator


@dataclass(frozen=True, slots=True)
class Resources:
    """What a generator may be made of. reader: None where no step reads."""

    embedder: Embedder
    fitted: Calibration
    reader: Reader | None


@dataclass(frozen=True, slots=True)
class Entry:
    """usage: how it is named; with a colon in it, something must stand behind that. reads: whether it needs readings.

    open: raises ConfigError and GeneratorError.
    """

    usage: str
    open: Callable[[RagConfig, Resources], Generator]
    reads: bool = False


def _embedded(config: RagConfig, resources: Resources) -> Generator:
    from models.writer.writer import open_writer
    from rag.generators.computing import ComputingGenerator
    from rag.generators.quote.generator import QuoteGenerator
    from rag.generators.writing import WritingGenerator

    fitted, weights = resources.fitted, resources.fitted.embedded
    threshold = weights.threshold if config.risk is None else weights.threshold_of(config.risk)
    least = _least(config, threshold)
    quotes = QuoteGenerator(resources.embedder, weights, fitted.pictures, least, resources.reader)
    return WritingGenerator(ComputingGenerator(quotes, least), resources.reader, open_writer)


def _quote(config: RagConfig, resources: Resources) -> Generator:
    from rag.generators.quote.generator import QuoteGenerator

    weights = resources.fitted.quote
    return QuoteGenerator(resources.embedder, weights, resources.fitted.pictures, _least(config, weights.threshold))


def _openai(config: RagConfig, resources: Resources) -> Generator:
    from rag.generators.openai import OpenAIGenerator

    return OpenAIGenerator.from_name(config.generator)


def _hf(config: RagConfig, resources: Resources) -> Generator:
    from rag.generators.hf import HfGenerator

    return HfGenerator.from_name(config.generator, download=config.download)


GENERATORS = {
    "embedded": Entry("embedded", _embedded, reads=True),
    "quote": Entry("quote", _quote),
    "openai": Entry("openai:URL[#MODEL]", _openai),
    "hf": Entry("hf:PATH_OR_ID", _hf),
}
USAGE = ", ".join(entry.usage for entry in GENERATORS.values())


def needs_reader(config: RagConfig) -> bool:
    """Whether any step reads the evidence. Raises ConfigError for settings of a reader that nothing would use."""
    kind = config.generator.partition(":")[0]
    if config.risk is not None and kind != "embedded":
        raise ConfigError(f"risk goes with the generator embedded, not {config.generator!r}: give a threshold instead")
    if config.rerank or (kind in GENERATORS and GENERATORS[kind].reads):
        return True
    for name in ("adapter", "reader"):
        if getattr(config, name):
            raise ConfigError(f"{name} goes with reranking or the generator embedded, not {config.generator!r} alone")
    return False


def open_generator(config: RagConfig, resources: Resources) -> Generator:
    """The generator that `config.generator` names. Raises ConfigError for a name that is none, GeneratorError."""
    kind, _, rest = config.generator.partition(":")
    entry = GENERATORS.get(kind)
    if entry is None or (":" in entry.usage) != bool(rest):
        raise ConfigError(f"unknown generator {config.generator!r}: give one of {USAGE}")
    return entry.open(config, resources)


def _least(config: RagConfig, fitted: float) -> float:
    return fitted if config.threshold is None else config.threshold
