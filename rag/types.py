"""What a question turns into: Evidence, Citation, Answer. Frozen, and JSON through `to_json`; the same object behind every door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from indexing.types import Box, Locator, Modality


@dataclass(frozen=True, slots=True)
class ChannelRank:
    """Where one channel ranked a chunk, from 1. `score` is comparable only inside that channel."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """A retrieved chunk. `score` is the fused score; `text` is the chunk, verbatim."""

    chunk_id: str
    document: str
    page: int | None
    text: str
    score: float
    channels: Mapping[str, ChannelRank]
    locator: Locator
    headings: tuple[str, ...] = ()
    modality: Modality = Modality.TEXT

    def to_json(self) -> dict[str, Any]:
        """A search result, as every door hands it out."""
        keys = ("document", "page", "chunk_id", "text", "score", "channels", "locator")
        return {key: value for key, value in asdict(self).items() if key in keys}


@dataclass(frozen=True, slots=True)
class Context:
    """The ordered evidence that the generator sees. `pictures[i]` is the WebP of `evidence[i]`, where that is a picture."""

    evidence: tuple[Evidence, ...]
    pictures: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Support:
    """A span of the evidence that supports a span of the answer.

    The quote is `context.evidence[index].text[start:end]`; the claim is `text[claim_start:claim_end]` of the answer. ablation: by how much
    the claim's log-probability falls when the evidence is taken from the model that makes it; None where that was not tried.
    """

    index: int
    start: int
    end: int
    claim_start: int = 0
    claim_end: int = 0
    ablation: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a generator made of a context. `confidence` is 0..1: how well the evidence supports an answer."""

    text: str
    supports: tuple[Support, ...]
    confidence: float
    abstained: bool
    details: Mapping[str, Any] = field(default_factory=dict)  # for the trace


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim's quote, resolved: `document.text[char_start:char_end] == quote`, boxes on that page (page units)."""

    document: str
    page: int | None
    quote: str
    char_start: int
    char_end: int
    boxes: tuple[Box, ...]
    chunk_id: str
    claim_start: int = 0
    claim_end: int = 0
    ablation: float | None = None  # as of Support: above 0 the citation bears its claim


@dataclass(frozen=True, slots=True)
class Answer:
    """A grounded answer, or an abstention: then `text` says so and `citations` is empty."""

    text: str
    abstained: bool
    confidence: float
    citations: tuple[Citation, ...]
    evidence: tuple[Evidence, ...]
    trace: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
