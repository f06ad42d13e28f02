"""The generators, and how one is named: `embedded`, `quote`, `openai:URL`, `hf:PATH_OR_ID`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag.config import ConfigError, RagConfig

if TYPE_CHECKING:
    from indexing.embedder import Embedder
    from indexing.index import IndexReader
    from rag.generators.protocol import Generator


def open_generator(config: RagConfig, reader: IndexReader, embedder: Embedder) -> Generator:
    """The generator that `config.generator` names. Raises ConfigError for a name that is none, WeightsError."""
    kind, _, rest = config.generator.partition(":")
    if config.risk >= 0 and kind != "embedded":
        raise ConfigError(f"risk goes with the generator embedded, not {config.generator!r}: give a threshold instead")
    if config.adapter and kind != "embedded":
        raise ConfigError(f"an adapter goes with the generator embedded, not {config.generator!r}")
    if config.reader and kind != "embedded":
        raise ConfigError(f"a reader goes with the generator embedded, not {config.generator!r}")
    if kind == "embedded" and not rest:
        from models.reader import shipped_weights, state_cache
        from models.reader.extractive_reader import Reader
        from rag.generators.quote.generator import QuoteGenerator, Weights

        weights = shipped_weights.describe(adapter=Path(config.adapter) if config.adapter else None)
        fitted = Weights.beside(weights)
        threshold = fitted.threshold_of(config.risk) if config.risk >= 0 else config.threshold
        if config.reader:
            from models.network.torch_reader import open_torch

            encoder, decoder = open_torch(Path(config.reader))
        else:
            encoder, decoder = shipped_weights.encoder(weights), shipped_weights.decoder(weights)

        def reader_of(index: IndexReader) -> Reader:
            compute = encoder if config.reader else replace(encoder, kept=state_cache.StateCache(index.directory))
            if not config.together:
                return Reader(compute, decoder)
            from models.reader.batching import Together

            return Reader(Together(compute), decoder)

        return QuoteGenerator(embedder, reader, fitted, threshold, reader_of, 1e9 * config.budget or math.inf)
    if kind == "quote" and not rest:
        from rag import quote_weights
        from rag.generators.quote.generator import QuoteGenerator, Weights

        fitted = Weights(quote_weights.SENTENCE, quote_weights.ANSWER, quote_weights.ANSWER_BIAS, quote_weights.THRESHOLD)
        return QuoteGenerator(embedder, reader, fitted, config.threshold)
    if kind == "openai" and rest:
        from rag.generators.openai import OpenAIGenerator

        return OpenAIGenerator.from_name(config.generator)
    if kind == "hf" and rest:
        from rag.generators.hf import HfGenerator

        return HfGenerator.from_name(config.generator, download=bool(config.download))
    raise ConfigError(f"unknown generator {config.generator!r}: give embedded, quote, openai:URL or hf:PATH_OR_ID")
