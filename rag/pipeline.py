"""RagPipeline: the way from a question to its answer. The same object stands behind every door.

understand -> retrieve -> gather -> read -> rerank -> fit -> generate -> cite: each step is one function of one module,
takes and returns frozen dataclasses, and tells the trace what it cost.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexing.embedder import Embedder, check_fingerprint, open_embedder, other_embedder
from indexing.filters import Filter
from indexing.index import Index
from models.common import minilm
from rag import context, reading
from rag.about import about
from rag.calibration import Calibration, calibration
from rag.citations import beyond, cite
from rag.config import ConfigError, RagConfig
from rag.generators import Resources, needs_reader, open_generator
from rag.generators.protocol import Generator, abstention
from rag.image_features import ImageFeatures
from rag.question_kind import ABOUT_US
from rag.rerank import DEPTH
from rag.rerank import rerank as reorder
from rag.retrieve.images import open_picture
from rag.retrieve.retriever import CHANNELS, Retrieved, Retriever
from rag.types import Answer, Context, Draft, Evidence, Query
from rag.understand import understand

if TYPE_CHECKING:
    from PIL.Image import Image

    from models.reader.extractive_reader import Reader

    Picture = Image | bytes | str | os.PathLike[str]

OpenReader = Callable[[Index], "Reader"]
NOTHING: Mapping[str, Any] = {}
READ = 8  # pieces of evidence that are read where nothing reranks: as many as are compared sentence by sentence


class RagPipeline:
    """Answers questions from one index. Thread-safe; sees what an indexer commits meanwhile.

    open_reader: a reader for an index, None where no step reads.
    """

    def __init__(
        self, index: Index, embedder: Embedder, generator: Generator, config: RagConfig, fitted: Calibration,
        open_reader: OpenReader | None = None,
    ) -> None:  # fmt: skip
        self.index, self.embedder, self.config = index, embedder, config
        self._generator, self._fitted, self._open_reader = generator, fitted, open_reader
        self._reader = open_reader(index) if open_reader else None
        shared = embedder.encode_queries if embedder.fingerprint == minilm.fingerprint() else None
        self._images = ImageFeatures(shared)
        self._retriever = Retriever(index, embedder, config, fitted, self._images)

    @classmethod
    def from_index(cls, index_dir: str | os.PathLike[str], **settings: Any) -> RagPipeline:
        """Open an index. settings: fields of RagConfig.

        Raises StoreError, EmbedderError, ConfigError, WeightsError, GeneratorError.
        """
        config = RagConfig.load(**settings)
        index = Index(Path(index_dir))
        embedder = _embedder_of(index, config.embedder, config.download)
        fitted = calibration()
        open_reader = reading.reader_opener(config.adapter, config.reader, fitted) if needs_reader(config) else None
        resources = Resources(embedder, fitted, open_reader(index) if open_reader else None)
        generator = open_generator(config, resources)
        return cls(index, embedder, generator, config, fitted, open_reader)

    def over(self, index_dir: str | os.PathLike[str]) -> RagPipeline:
        """The same models and settings over another index, of the same embedder. Raises StoreError, EmbedderError."""
        index = Index(Path(index_dir))
        check_fingerprint(index.directory, index.fingerprint, self.embedder)
        return RagPipeline(index, self.embedder, self._generator, self.config, self._fitted, self._open_reader)

    def search(
        self, question: str = "", k: int = 10, *, only: Filter | None = None, channels: Sequence[str] = CHANNELS,
        image: Picture | None = None, rerank: bool = False,
    ) -> tuple[Evidence, ...]:  # fmt: skip
        """The k best chunks, best first; fewer when the index has fewer.

        image: a picture (a path, a file's bytes or a PIL image): what looks like it, and what is about the words on it
        and the question. rerank: whether the reader orders the first ones anew. Raises PictureError, ConfigError.
        """
        seen = None if image is None else open_picture(image)
        if k < 1:
            return ()
        query = understand(_storable(question))
        depth = max(k, DEPTH) if rerank else k
        found = self._retriever.retrieve(query, depth, only=only, channels=channels, image=seen)
        if not rerank or not query.text.strip():
            return found.evidence[:k]
        if not self.config.rerank:
            raise ConfigError("this pipeline was opened without a reranker: open it with rerank=True")
        return self._ranked(query, self._gather(query, found))[0].evidence[:k]

    def candidates(self, query: Query, k: int) -> Context:
        """The k best chunks of the retriever with all that later steps need of the index: what fits are made on."""
        return self._gather(query, self._retriever.retrieve(query, k))

    def ask(self, question: str, *, history: Sequence[str] = (), only: Filter | None = None) -> Answer:
        """The answer, cited, or an abstention. history: earlier questions of the conversation, oldest first."""
        for piece in self.stream(question, history=history, only=only):
            if isinstance(piece, Answer):
                return piece
        raise AssertionError("a stream ends with its Answer")

    def stream(
        self, question: str, *, history: Sequence[str] = (), only: Filter | None = None
    ) -> Iterator[str | Answer]:
        """Pieces of the answer's text as they are made, then the Answer."""
        clock = _Clock()
        config, query = self.config, understand(_storable(question), [_storable(earlier) for earlier in history])
        if query.kind in ABOUT_US:
            text = about(query.kind, self.index)
            yield text
            yield Answer(text, False, 1.0, (), (), self._trace(query, history, only, clock))
            return
        found = self._retriever.retrieve(query, max(config.top_k, DEPTH if config.rerank else 0), only=only)
        whole = self._gather(query, found)
        clock.mark("retrieve")
        ranked, cost = self._ranked(query, whole)
        packed = context.fit(ranked, config.top_k, config.context_tokens)
        clock.mark("rerank")
        draft = abstention()
        for piece in self._generator.generate(query, packed) if packed.evidence else ():
            if isinstance(piece, Draft):
                draft = piece
            else:
                yield piece
        if draft.confidence < (config.threshold or 0.0):  # whichever generator it is of
            draft = replace(abstention(draft.confidence), details=draft.details)
        clock.mark("generate")
        trace = self._trace(query, history, only, clock, draft.details, found.details, cost)
        citations, evidence = cite(draft, packed, self.index), ranked.evidence[: config.top_k]
        evidence += beyond(evidence, draft, packed)
        yield Answer(draft.text, draft.abstained, draft.confidence, citations, evidence, trace)

    def _trace(
        self, query: Query, history: Sequence[str], only: Filter | None, clock: _Clock,
        generation: Mapping[str, Any] = NOTHING, retrieval: Mapping[str, Any] = NOTHING,
        reading: Mapping[str, Any] = NOTHING,
    ) -> dict[str, Any]:  # fmt: skip
        """What a replay needs to ask again, and what each step did."""
        return {
            "question": query.asked, "history": [*map(_storable, history)], "filter": asdict(only) if only else None,
            "settings": asdict(self.config), "searched": query.text, "kind": query.kind.value,
            "generator": generation.get("generator", self._generator.name),  # with the model that a server chose
            "embedder": self.embedder.fingerprint, "retrieval": retrieval, "reading": reading, "generation": generation,
            "ms": clock.spans,
        }  # fmt: skip

    def _gather(self, query: Query, found: Retrieved) -> Context:
        return context.gather(query, found.vector, found.evidence, self.index, self._images)

    def _ranked(self, query: Query, found: Context) -> tuple[Context, dict[str, Any]]:
        """The context after the reader read it and, where it is asked to, ordered it; and what that cost."""
        if self._reader is None or not found.evidence:
            return found, {}
        count = DEPTH if self.config.rerank else READ
        began = time.perf_counter()
        budget = 1e9 * self.config.budget if self.config.budget else math.inf
        read = reading.read(query, found, self._reader, count, budget)
        cost = reading.cost(read.readings, time.perf_counter() - began)
        return (reorder(read, self._fitted.rerank) if self.config.rerank else read), cost


class _Clock:
    """Milliseconds of each step since the one before."""

    def __init__(self) -> None:
        self.spans: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, step: str) -> None:
        now = time.perf_counter()
        self.spans[step], self._last = round(1000 * (now - self._last), 2), now


def _embedder_of(index: Index, asked: str, download: bool) -> Embedder:
    """The embedder of the index; refuses another one."""
    if asked and asked != index.embedder_name:
        raise other_embedder(index.directory, index.embedder_name, asked)
    embedder = open_embedder(index.embedder_name or minilm.NAME, download=download)
    check_fingerprint(index.directory, index.fingerprint, embedder)
    return embedder


def _storable(question: str) -> str:
    """The question without lone surrogates, which a terminal in another encoding hands over."""
    return question.encode("utf-8", "replace").decode()
