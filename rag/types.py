"""What a question turns into on its way: Query, Evidence, Context, Draft, Citation, Answer.

Every step takes and returns these frozen dataclasses, and every door hands out the same Answer as JSON.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from indexing.types import Box, Chunk, Locator, Modality
from models.reader.coordinates import WordBox
from rag.question_kind import Kind

if TYPE_CHECKING:
    import numpy as np

    from models.reader.image_patches import Picture as PatchFeatures
    from models.reader.types import Window


@dataclass(frozen=True, slots=True)
class ChannelRank:
    """Where one channel ranked a chunk, from 1. `score` is comparable only inside that channel."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """A question as every later step takes it.

    asked: the user's own words. text: the question that stands alone, which is searched and answered.
    words: its content words, each once. wants_picture: whether it asks for a picture that shows something. kind: of the
    answer that it asks for. else_compute: what may be computed where a look-up finds nothing, if anything.
    """

    asked: str
    text: str
    words: tuple[str, ...]
    wants_picture: bool = False
    kind: Kind = Kind.LOOK_UP
    else_compute: Kind | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A retrieved chunk; `text` is the chunk, verbatim.

    score: of the fusion, comparable only within one result. channels: the chunk's rank in each list that held it:
    `dense`, `bm25`, `image`, and `rerank` where the reader ordered the list anew.
    """

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


def evidence_of(chunk: Chunk, score: float, channels: Mapping[str, ChannelRank]) -> Evidence:
    at = chunk.locator
    return Evidence(chunk.id, at.document, at.page, chunk.text, score, channels, at, chunk.headings, chunk.modality)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the index knows around a piece of evidence, read once for all later steps.

    opening: how its document begins, as far as that stands before the chunk. boxes: of the chunk's words on their page,
    empty for formats without places. recognised: whether OCR read these words.
    """

    opening: str = ""
    boxes: tuple[WordBox, ...] = ()
    recognised: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class QueryStatistics:
    """vector: (d,) embedding of the question. counts: how many of the index's `chunks` hold each content word.

    image_vector: its embedding in the space of `Context.patches`, where there are any.
    """

    vector: np.ndarray
    counts: Mapping[str, int]
    chunks: int
    image_vector: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the reader made of one piece of evidence.

    offset: characters before its text in the reader's input. windows: empty where nothing was read.
    """

    windows: tuple[Window, ...]
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """The ordered evidence, and all that a reranker or a generator may need besides: neither of them reads the index.

    pictures: the WebP of evidence number i, where that is a picture; patches: its features, where the reader is to look
    at it. tables: all chunks of the table that evidence number i is of, where something is to be computed and no better
    evidence is of that table. surroundings, readings: one for each piece of evidence, or none at all. statistics: of
    the question.
    """

    evidence: tuple[Evidence, ...]
    pictures: Mapping[int, bytes] = field(default_factory=dict)
    surroundings: tuple[Surroundings, ...] = ()
    readings: tuple[Reading, ...] = ()
    statistics: QueryStatistics | None = None
    patches: Mapping[int, PatchFeatures] = field(default_factory=dict)
    tables: Mapping[int, tuple[Evidence, ...]] = field(default_factory=dict)

    @property
    def pieces(self) -> tuple[Evidence, ...]:
        """What may be cited: the evidence, and behind it the chunks of its tables. `Support.index` counts here."""
        return (*self.evidence, *itertools.chain.from_iterable(self.tables.values()))

    def select(self, order: Sequence[int]) -> Context:
        """The evidence with these numbers, in this order."""
        return replace(
            self,
            evidence=tuple(self.evidence[i] for i in order),
            pictures={at: self.pictures[i] for at, i in enumerate(order) if i in self.pictures},
            patches={at: self.patches[i] for at, i in enumerate(order) if i in self.patches},
            tables={at: self.tables[i] for at, i in enumerate(order) if i in self.tables},
            surroundings=tuple(self.surroundings[i] for i in order if self.surroundings),
            readings=tuple(self.readings[i] for i in order if self.readings),
        )


@dataclass(frozen=True, slots=True)
class Support:
    """A span of the evidence that supports a span of the answer.

    The quote is `context.pieces[index].text[start:end]`; the claim is `text[claim_start:claim_end]` of the answer.
    ablation: by how much the claim's log-probability falls when the evidence is taken from the model that makes it;
    None where that was not tried.
    """

    index: int
    start: int
    end: int
    claim_start: int = 0
    claim_end: int = 0
    ablation: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a generator made of a context. `confidence` is 0..1: how well the evidence supports an answer.

    details: for the trace. answer: `text[start:end]` is the short answer, where the generator knows one.
    """

    text: str
    supports: tuple[Support, ...]
    confidence: float
    abstained: bool
    details: Mapping[str, Any] = field(default_factory=dict)
    answer: tuple[int, int] | None = None


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
