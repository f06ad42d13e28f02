"""The Generator protocol, and how a generator is named: `quote`, `openai:URL`, `hf:PATH_OR_ID`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from rag.types import Context, Draft

if TYPE_CHECKING:
    from indexing.embedder import Embedder
    from indexing.reader import IndexReader
    from rag.config import RagConfig

ABSTENTION = "Not in these sources."


class Generator(Protocol):
    """Answers from the context alone. Yields pieces of text as they are made, then one Draft, always last."""

    name: str

    def generate(self, question: str, context: Context) -> Iterator[str | Draft]: ...


def abstention() -> Draft:
    """What is answered when there is no evidence at all."""
    return Draft(ABSTENTION, (), 0.0, abstained=True)


def open_generator(config: RagConfig, reader: IndexReader, embedder: Embedder) -> Generator:
    """The generator that `config.generator` names. Raises ConfigError for a name that is none."""
    kind, _, rest = config.generator.partition(":")
    if kind == "quote" and not rest:
        from rag.generators.quote import QuoteGenerator

        return QuoteGenerator(embedder, reader, config.threshold)
    if kind == "openai" and rest:
        from rag.generators.openai import OpenAIGenerator

        return OpenAIGenerator.from_name(config.generator)
    if kind == "hf" and rest:
        from rag.generators.hf import HfGenerator

        return HfGenerator.from_name(config.generator)
    from rag.config import ConfigError

    raise ConfigError(f"unknown generator {config.generator!r}: give quote, openai:URL or hf:PATH_OR_ID")
