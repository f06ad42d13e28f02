"""The generators, and how one is named: `embedded`, `quote`, `openai:URL`, `hf:PATH_OR_ID`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.config import ConfigError, RagConfig

if TYPE_CHECKING:
    from indexing.embedder import Embedder
    from models.reader.extractive_reader import Reader
    from rag.calibration import Calibration
    from rag.generators.protocol import Generator


def needs_reader(config: RagConfig) -> bool:
    """Whether any step reads the evidence. Raises ConfigError for settings of a reader that nothing would use."""
    kind = config.generator.partition(":")[0]
    if config.risk is not None and kind != "embedded":
        raise ConfigError(f"risk goes with the generator embedded, not {config.generator!r}: give a threshold instead")
    if config.rerank or kind == "embedded":
        return True
    for name in ("adapter", "reader"):
        if getattr(config, name):
            raise ConfigError(f"{name} goes with reranking or the generator embedded, not {config.generator!r} alone")
    return False


def open_generator(
    config: RagConfig, embedder: Embedder, fitted: Calibration, reader: Reader | None
) -> Generator:
    """The generator that `config.generator` names. Raises ConfigError for a name that is none, GeneratorError."""
    kind, _, rest = config.generator.partition(":")
    if kind in ("embedded", "quote") and not rest:
        from rag.generators.quote.generator import QuoteGenerator

        weights = fitted.embedded if kind == "embedded" else fitted.quote
        threshold = weights.threshold if config.threshold is None else config.threshold
        if config.risk is not None:
            threshold = weights.threshold_of(config.risk)
        return QuoteGenerator(embedder, weights, fitted.pictures, threshold, reader if kind == "embedded" else None)
    if kind == "openai" and rest:
        from rag.generators.openai import OpenAIGenerator

        return OpenAIGenerator.from_name(config.generator)
    if kind == "hf" and rest:
        from rag.generators.hf import HfGenerator

        return HfGenerator.from_name(config.generator, download=config.download)
    raise ConfigError(f"unknown generator {config.generator!r}: give embedded, quote, openai:URL or hf:PATH_OR_ID")
