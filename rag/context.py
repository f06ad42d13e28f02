"""Packs the best evidence into the room that the generator has."""

from __future__ import annotations

from collections.abc import Sequence

from indexing.index import Index
from indexing.types import Modality
from rag.types import Context, Evidence

CHARACTERS = 4  # of English per token, about: enough to size a context for any tokenizer


def pack(evidence: Sequence[Evidence], tokens: int, reader: Index) -> Context:
    """The evidence in its order, while it fits; always the first. Pictures come along with their chunks; those without words stand last, as only eyes can read them."""
    kept, room = [], tokens * CHARACTERS
    for piece in sorted(evidence, key=lambda piece: not piece.text.strip()):
        size = len(piece.text) + sum(map(len, piece.headings))
        if kept and size > room:
            break
        kept.append(piece)
        room -= size
    pictures = {}
    for index, piece in enumerate(kept):
        if piece.modality is Modality.IMAGE and (picture := reader.documents.picture(piece.chunk_id)):
            pictures[index] = picture.preview or picture.thumbnail
    return Context(tuple(kept), pictures)
