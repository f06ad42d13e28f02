"""Query -> evidence: one ranked list per channel, fused. Near-duplicates collapse; ties are broken by chunk id.

Comes in: a query, or a picture, or both. Goes out: the best chunks as Evidence, and the embedding of the query.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing.embedder import Embedder
from indexing.filters import Filter
from indexing.index import Index
from indexing.stores.vector_spaces import Hits
from rag.calibration import Calibration
from rag.config import RagConfig
from rag.image_features import ImageFeatures
from rag.retrieve import fusion
from rag.retrieve.images import ImageSearch, words_on
from rag.types import ChannelRank, Evidence, Query, evidence_of
from rag.understand import image_share, match_expression, understand

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = ("dense", "bm25", "image")
BATCH = 500  # chunks read from the store at once
NEAR = 50  # near-duplicates score nearly the same, so only that many better ones are compared
ALIKE = 0.9  # share of common words from which two texts count as one
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """The evidence, best first. vector: (d,) embedding of the query; details: how it was found, for the trace."""

    evidence: tuple[Evidence, ...]
    vector: np.ndarray
    details: dict[str, Any]


class Retriever:
    """Over one index. Thread-safe for reading, as the index and the embedder are.

    config: its `depth` and `download`. images: whose tower is shared, where the index was embedded with it.
    """

    def __init__(
        self, index: Index, embedder: Embedder, config: RagConfig, calibration: Calibration, images: ImageFeatures
    ) -> None:
        self._index, self._depth, self._calibration = index, config.depth, calibration
        self._encode = lru_cache(maxsize=64)(lambda text: embedder.encode_queries([text])[0])  # for two channels
        self._images = ImageSearch(index, embedder, self._encode, images, config.download)

    def retrieve(
        self, query: Query, k: int, *, only: Filter | None = None, channels: Sequence[str] = CHANNELS,
        image: Image | None = None,
    ) -> Retrieved:  # fmt: skip
        """The k best chunks for a query, for a picture, or for both.

        `channels` with one name gives that channel's own ranking. The words on the picture are searched for too.
        """
        if image is not None:
            query = understand(f"{query.text} {words_on(image)}".strip())
        depth = max(self._depth, k)
        started = time.perf_counter()
        timings: dict[str, float] = {}
        ranked: dict[str, Hits] = {}
        for channel in channels:
            ranked[channel] = self._search(channel, query, image, depth, only)
            timings[channel] = round(1000 * (time.perf_counter() - started), 2)
            started = time.perf_counter()
        share = image_share(query.text, self._calibration.image_shares, given=image is not None)
        weights = fusion.channel_weights(len(query.words), ranked, self._calibration.fusion, share)
        fused = fusion.fuse(ranked, weights)
        evidence = self._collect(fused, ranked, k)
        timings["fuse"] = round(1000 * (time.perf_counter() - started), 2)
        details = {"weights": weights, "found": {name: len(hits) for name, hits in ranked.items()}, "ms": timings}
        if "image" in channels and self._images.problem:
            details["problem"] = self._images.problem
        return Retrieved(evidence, self._encode(query.text), details)

    def _search(self, channel: str, query: Query, image: Image | None, depth: int, only: Filter | None) -> Hits:
        if channel == "image" and image is not None:
            return self._images.by_image(image, depth, only)
        if not query.text.strip():
            return []
        if channel == "image":
            return self._images.by_text(query.text, depth, only)
        if channel == "dense":
            return self._index.nearest(self._encode(query.text), depth, only)
        expression = match_expression(query)
        return self._index.matching(expression, depth, only) if expression else []

    def _collect(self, fused: list[tuple[int, float]], ranked: dict[str, Hits], k: int) -> tuple[Evidence, ...]:
        """The first k that are no near-duplicate of a better one, as evidence."""
        places = {
            name: {row: ChannelRank(rank, score) for rank, (row, score) in enumerate(hits, 1)}
            for name, hits in ranked.items()
        }
        kept: list[Evidence] = []
        seen: list[frozenset[str]] = []
        step = min(2 * k, BATCH)
        for first in range(0, len(fused), step):
            batch = fused[first : first + step]
            chunks = self._index.chunks([row for row, _ in batch])
            there = [(row, score, chunks[row]) for row, score in batch if row in chunks]
            for row, score, chunk in sorted(there, key=lambda item: (-item[1], item[2].id)):
                held = frozenset(_WORD.findall(chunk.text.casefold()))
                if any(_alike(held, other) for other in seen[-NEAR:]):
                    continue
                seen.append(held)
                channels = {name: found[row] for name, found in places.items() if row in found}
                kept.append(evidence_of(chunk, score, channels))
                if len(kept) == k:
                    return tuple(kept)
        return tuple(kept)


def _alike(left: frozenset[str], right: frozenset[str]) -> bool:
    """Nearly the same words, and the same figures: reports of two years may differ in nothing else."""
    if not left or len(left & right) < ALIKE * len(left | right):
        return False  # what has no words is a picture, and may be any
    return not any(character.isdigit() for word in left ^ right for character in word)
