"""Question -> evidence: one ranked list per channel, fused; near-duplicates collapse; ties are broken by chunk id."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from indexing.embedder import Embedder
from indexing.filters import Filter
from indexing.index import IndexReader
from indexing.stores.vector_spaces import Hits
from indexing.types import Chunk
from rag.retrieve import fusion
from rag.retrieve.images import PictureSearch, words_on
from rag.types import ChannelRank, Evidence
from rag.understand import match_expression, picture_share, words

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = ("dense", "bm25", "image")
BATCH = 500  # chunks read from the store at once
NEAR = 50  # near-duplicates score nearly the same, so only that many better ones are compared
ALIKE = 0.9  # share of common words from which two texts count as one
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The evidence, best first, and how it was found (for the trace)."""

    evidence: tuple[Evidence, ...]
    details: dict[str, Any]


class Retriever:
    """Over one index. Thread-safe for reading, as the reader and the embedder are."""

    def __init__(self, reader: IndexReader, embedder: Embedder, depth: int, *, download: bool = False) -> None:
        self._reader, self._depth = reader, depth
        self._encode = lru_cache(maxsize=64)(lambda question: embedder.encode_queries([question])[0])  # for two channels
        self._pictures = PictureSearch(reader, embedder, self._encode, download)

    def retrieve(
        self, question: str, k: int, *, only: Filter | None = None, channels: Sequence[str] = CHANNELS, image: Image | None = None
    ) -> Retrieved:
        """The k best chunks for a question, for a picture, or for both. `channels` with one name gives that channel's own ranking."""
        if image is not None:
            question = f"{question} {words_on(image)}".strip()
        depth = max(self._depth, k)
        started = time.perf_counter()
        timings: dict[str, float] = {}
        ranked: dict[str, Hits] = {}
        for channel in channels:
            ranked[channel] = self._search(channel, question, image, depth, only)
            timings[channel] = round(1000 * (time.perf_counter() - started), 2)
            started = time.perf_counter()
        weights = fusion.weights(len(words(question)), ranked, picture_share(question, given=image is not None))
        fused = fusion.fuse(ranked, weights)
        evidence = self._collect(fused, ranked, k)
        timings["fuse"] = round(1000 * (time.perf_counter() - started), 2)
        details = {"weights": weights, "found": {name: len(hits) for name, hits in ranked.items()}, "ms": timings}
        if "image" in channels and self._pictures.problem:
            details["problem"] = self._pictures.problem
        return Retrieved(evidence, details)

    def _search(self, channel: str, question: str, image: Image | None, depth: int, only: Filter | None) -> Hits:
        if channel == "image":
            return self._pictures.by_words(question, depth, only) if image is None else self._pictures.by_picture(image, depth, only)
        return self._dense(question, depth, only) if channel == "dense" else self._bm25(question, depth, only)

    def _dense(self, question: str, depth: int, only: Filter | None) -> Hits:
        return self._reader.nearest(self._encode(question), depth, only) if question.strip() else []

    def _bm25(self, question: str, depth: int, only: Filter | None) -> Hits:
        expression = match_expression(question)
        return self._reader.matching(expression, depth, only) if expression else []

    def _collect(self, fused: list[tuple[int, float]], ranked: dict[str, Hits], k: int) -> tuple[Evidence, ...]:
        """The first k that are no near-duplicate of a better one, as evidence."""
        places = {
            name: {row: ChannelRank(rank, score) for rank, (row, score) in enumerate(hits, 1)} for name, hits in ranked.items()
        }
        kept: list[Evidence] = []
        seen: list[frozenset[str]] = []
        step = min(2 * k, BATCH)
        for first in range(0, len(fused), step):
            batch = fused[first : first + step]
            chunks = self._reader.chunks([row for row, _ in batch])
            there = [(row, score, chunks[row]) for row, score in batch if row in chunks]
            for row, score, chunk in sorted(there, key=lambda item: (-item[1], item[2].id)):
                held = frozenset(_WORD.findall(chunk.text.casefold()))
                if any(_alike(held, other) for other in seen[-NEAR:]):
                    continue
                seen.append(held)
                kept.append(_evidence(chunk, score, {name: found[row] for name, found in places.items() if row in found}))
                if len(kept) == k:
                    return tuple(kept)
        return tuple(kept)


def _alike(left: frozenset[str], right: frozenset[str]) -> bool:
    """Nearly the same words, and the same figures: reports of two years may differ in nothing else."""
    if not left or len(left & right) < ALIKE * len(left | right):
        return False  # what has no words is a picture, and may be any
    return not any(character.isdigit() for word in left ^ right for character in word)


def _evidence(chunk: Chunk, score: float, channels: dict[str, ChannelRank]) -> Evidence:
    at = chunk.locator
    return Evidence(chunk.id, at.document, at.page, chunk.text, score, channels, at, chunk.headings, chunk.modality)
