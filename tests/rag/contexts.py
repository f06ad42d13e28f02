"""Contexts made by hand, completed as the pipeline does: statistics, surroundings, and a reader's readings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from indexing.embedder import Embedder
from models.reader.extractive_reader import Reader
from rag import reading
from rag.generators.quote.comparison import CHUNKS
from rag.types import Context, Query, QueryStatistics, Surroundings
from rag.understand import understand


def complete(
    question: str, context: Context, embedder: Embedder, reader: Reader | None = None,
    openings: Mapping[str, str] | None = None,
) -> tuple[Query, Context]:  # fmt: skip
    """openings: of documents by their names. Every word of the question is as rare as any other."""
    query = understand(question)
    statistics = QueryStatistics(embedder.encode_queries([query.text])[0], dict.fromkeys(query.words, 0), 1)
    around = tuple(Surroundings((openings or {}).get(piece.document, "")) for piece in context.evidence)
    whole = replace(context, surroundings=around, statistics=statistics)
    return query, reading.read(query, whole, reader, CHUNKS, math.inf) if reader else whole
