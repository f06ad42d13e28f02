"""RagPipeline: question -> retrieve -> pack -> generate -> cite -> Answer. The same object behind every door."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexing.embedder import Embedder, check_fingerprint, open_embedder, other_embedder
from indexing.filters import Filter
from indexing.index import IndexReader
from models.common import minilm
from rag import context
from rag.citations import cite
from rag.config import RagConfig
from rag.generators import open_generator
from rag.generators.protocol import Generator, abstention
from rag.retrieve.images import open_picture
from rag.retrieve.retriever import CHANNELS, Retriever
from rag.types import Answer, Draft, Evidence
from rag.understand import standalone

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = Image | bytes | str | os.PathLike[str]


class RagPipeline:
    """Answers questions from one index. Thread-safe; sees what an indexer commits meanwhile."""

    def __init__(self, reader: IndexReader, embedder: Embedder, generator: Generator, config: RagConfig) -> None:
        self.reader, self.config = reader, config
        self.embedder, self._generator = embedder, generator
        self._retriever = Retriever(reader, embedder, config.depth, download=bool(config.download))

    @classmethod
    def from_index(cls, index_dir: str | os.PathLike[str], **settings: Any) -> RagPipeline:
        """Open an index. settings: fields of RagConfig. Raises StoreError, EmbedderError, ConfigError, GeneratorError."""
        config = RagConfig.load(**settings)
        reader = IndexReader(Path(index_dir))
        embedder = _embedder_of(reader, config.embedder, bool(config.download))
        return cls(reader, embedder, open_generator(config, reader, embedder), config)

    def over(self, index_dir: str | os.PathLike[str]) -> RagPipeline:
        """The same models and settings over another index, of the same embedder. Raises StoreError, EmbedderError."""
        from rag.generators.quote.generator import QuoteGenerator

        reader = IndexReader(Path(index_dir))
        check_fingerprint(reader.directory, reader.fingerprint, self.embedder)
        generator = self._generator  # a model is not loaded twice; the quoting one counts words in its index
        if isinstance(generator, QuoteGenerator):
            generator = generator.over(reader)
        return RagPipeline(reader, self.embedder, generator, self.config)

    def search(
        self, question: str = "", k: int = 10, *, only: Filter | None = None, channels: Sequence[str] = CHANNELS, image: Picture | None = None
    ) -> tuple[Evidence, ...]:
        """The k best chunks, best first; fewer when the index has fewer.

        image: a picture (a path, a file's bytes or a PIL image): what looks like it, and what is about the words on it and the question.
        Raises PictureError.
        """
        seen = None if image is None else open_picture(image)
        return self._retriever.retrieve(_storable(question), k, only=only, channels=channels, image=seen).evidence if k > 0 else ()

    def ask(self, question: str, *, history: Sequence[str] = (), only: Filter | None = None) -> Answer:
        """The answer, cited, or an abstention. history: earlier questions of the conversation, oldest first."""
        for piece in self.stream(question, history=history, only=only):
            if isinstance(piece, Answer):
                return piece
        raise AssertionError("a stream ends with its Answer")

    def stream(self, question: str, *, history: Sequence[str] = (), only: Filter | None = None) -> Iterator[str | Answer]:
        """Pieces of the answer's text as they are made, then the Answer."""
        started = time.perf_counter()
        question = _storable(question)
        history = [_storable(earlier) for earlier in history]
        searched = standalone(question, history)
        retrieved = self._retriever.retrieve(searched, self.config.top_k, only=only)
        packed = context.pack(retrieved.evidence, self.config.context_tokens, self.reader)
        found = time.perf_counter()
        draft = abstention()
        if packed.evidence:
            for piece in self._generator.generate(searched, packed):
                if isinstance(piece, Draft):
                    draft = piece
                else:
                    yield piece
        trace = {
            "question": question, "history": history, "filter": asdict(only) if only else None, "settings": asdict(self.config),
            "searched": searched, "generator": self._generator.name, "embedder": self.embedder.fingerprint,
            "retrieval": retrieved.details, "generation": {name: value for name, value in draft.details.items() if name != "cost"},
            "cost": draft.details.get("cost", {}),  # what is kept of blocks makes a second time cheaper
            "ms": {"retrieve": _ms(started, found), "generate": _ms(found, time.perf_counter())},
        }
        citations = cite(draft, packed, self.reader)
        yield Answer(draft.text, draft.abstained, draft.confidence, citations, retrieved.evidence, trace)


def _embedder_of(reader: IndexReader, asked: str, download: bool) -> Embedder:
    """The embedder of the index; refuses another one."""
    if asked and asked != reader.embedder_name:
        raise other_embedder(reader.directory, reader.embedder_name, asked)
    embedder = open_embedder(reader.embedder_name or minilm.NAME, download=download)
    check_fingerprint(reader.directory, reader.fingerprint, embedder)
    return embedder


def _storable(question: str) -> str:
    """The question without lone surrogates, which a terminal in another encoding hands over."""
    return question.encode("utf-8", "replace").decode()


def _ms(start: float, end: float) -> float:
    return round(1000 * (end - start), 2)
