"""Context: the evidence of a question with all that later steps need of it, and the part of it that fits.

`gather` is the only step between retrieval and citing that reads the index.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexing.index import Index
from indexing.types import Modality
from rag.image_features import ImageFeatures
from rag.question_kind import COMPUTED
from rag.types import Context, Evidence, Query, QueryStatistics, Surroundings, evidence_of

LONGEST_TABLE = 20_000  # chunks of a table that is computed with: some 200,000 rows
SHORT_TABLE = 300  # the same where a look-up may be computed instead, which must not make it slow
CHARACTERS_PER_TOKEN = 4  # of English, about: enough to size a context for any tokenizer


def gather(
    query: Query, vector: np.ndarray, evidence: Sequence[Evidence], index: Index, images: ImageFeatures
) -> Context:
    """The evidence with its surroundings and pictures, and the statistics of the question.

    vector: (d,) embedding of the question. A picture's patches are computed where the question asks for a picture, or
    where the picture has no words; else its words answer.
    """
    pictures, patches = {}, {}
    for number, piece in enumerate(evidence):
        if piece.modality is Modality.IMAGE and (picture := index.documents.picture(piece.chunk_id)):
            pictures[number] = picture.preview or picture.thumbnail
            looked_at = query.wants_picture or not piece.text.strip()
            if looked_at and (features := images.patches(pictures[number])):
                patches[number] = features
    image_vector = images.text_vector(query.text) if patches else None
    statistics = QueryStatistics(vector, index.word_counts(query.words), index.count(), image_vector)
    surroundings = tuple(_around(piece, index) for piece in evidence)
    most = LONGEST_TABLE if query.kind in COMPUTED else SHORT_TABLE if query.else_compute else 0
    tables = _tables(evidence, index, most) if most else {}
    return Context(tuple(evidence), pictures, surroundings, statistics=statistics, patches=patches, tables=tables)


def fit(context: Context, count: int, tokens: int) -> Context:
    """At most `count` pieces of evidence in their order, while they fit into so many tokens; always the first.

    Pictures without words stand last: only models that see can use them.
    """
    order, room = [], tokens * CHARACTERS_PER_TOKEN
    numbers = range(min(count, len(context.evidence)))
    for number in sorted(numbers, key=lambda number: not context.evidence[number].text.strip()):
        piece = context.evidence[number]
        size = len(piece.text) + sum(map(len, piece.headings))
        if order and size > room:
            break
        order.append(number)
        room -= size
    return context.select(order)


def _tables(evidence: Sequence[Evidence], index: Index, most: int) -> dict[int, tuple[Evidence, ...]]:
    """All chunks of each table that evidence is of, at the number of the best of them; none of one with more chunks."""
    tables: dict[int, tuple[Evidence, ...]] = {}
    seen: set[str] = set()
    for number, piece in enumerate(evidence):
        if piece.modality is Modality.TABLE and piece.chunk_id not in seen:
            chunks = index.table_of(piece.chunk_id, most)
            seen |= {chunk.id for chunk in chunks}
            if chunks:
                tables[number] = tuple(evidence_of(chunk, 0.0, {}) for chunk in chunks)
    return tables


def _around(piece: Evidence, index: Index) -> Surroundings:
    at = piece.locator
    recognised = index.documents.word_boxes(at, recognised=True)
    boxes = recognised or index.documents.word_boxes(at)
    return Surroundings(index.documents.opening(piece.document)[: at.char_start], tuple(boxes), bool(recognised))
