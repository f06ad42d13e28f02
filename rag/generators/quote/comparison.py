"""Every sentence of a context set beside the question: its features, and what the reader found in it. Pure.

Comes in: a query, a context with its statistics and, where a reader read it, its readings. Knows no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexing.embedder import Embedder
from models.reader.extractive_reader import best
from models.reader.types import NOTHING, Finding
from rag.generators.quote import quotable_spans, sentence_features
from rag.generators.quote.sentence_features import Asked
from rag.lookups.result import LookupResult
from rag.lookups.table_cells import table_header
from rag.types import Context, Evidence, Query

CHUNKS = 8  # pieces of evidence that are compared sentence by sentence


@dataclass(frozen=True, slots=True)
class Comparison:
    """n sentences of the evidence beside a question. `owner[i]` is the number of the evidence of sentence i.

    features: (n, SENTENCE_FEATURES), and READER_FEATURES and ROW_FEATURES behind them where a reader read the context.
    vectors: (n, d), each sentence alone. findings: the reader's best answer within each sentence; empty without one.
    """

    question: Asked
    context: Context
    owner: list[int]
    spans: list[tuple[int, int]]
    features: np.ndarray
    vectors: np.ndarray
    findings: list[Finding]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return self.context.evidence

    def by_evidence(self) -> list[list[tuple[int, int]]]:
        """The sentences of each piece of evidence."""
        pairs = list(zip(self.spans, self.owner, strict=True))
        return [[span for span, owner in pairs if owner == number] for number in range(len(self.evidence))]

    def sentence_of(self, found: LookupResult) -> int:
        """The sentence in which a looked-up value begins."""
        places = enumerate(zip(self.spans, self.owner, strict=True))
        return next(i for i, (span, owner) in places if owner == found.evidence and span[0] <= found.value[0] < span[1])


def compare(query: Query, context: Context, embedder: Embedder) -> Comparison:
    """Compare the question with each sentence of the first CHUNKS pieces of evidence."""
    context = context.select(range(min(CHUNKS, len(context.evidence))))
    statistics = context.statistics
    asked = sentence_features.asked(query.text, statistics.vector, statistics.counts, statistics.chunks)
    spans = [quotable_spans.candidates(piece.text) for piece in context.evidence]
    pairs = zip(context.evidence, spans, strict=True)
    texts = [[piece.text[start:end] for start, end in found] for piece, found in pairs]
    alone, in_context = _embedded(context.evidence, texts, embedder)
    owner = [number for number, found in enumerate(spans) for _ in found]
    rows, first = [], 0
    for number, (piece, found) in enumerate(zip(context.evidence, texts, strict=True)):
        mine = slice(first, first + len(found))
        opening = context.surroundings[number].opening
        rows += sentence_features.chunk_features(asked, piece, number, opening, found, alone[mine], in_context[mine])
        first = mine.stop
    names, findings = sentence_features.SENTENCE_FEATURES, []
    if context.readings:
        names += sentence_features.READER_FEATURES + sentence_features.ROW_FEATURES
        findings = [found for number, mine in enumerate(spans) for found in _findings(context, number, mine)]
        rows = _with_reader(rows, findings, owner, texts, context.evidence)
    features = np.array(rows, np.float64).reshape(len(owner), len(names))
    return Comparison(asked, context, owner, [span for found in spans for span in found], features, alone, findings)


def _embedded(
    evidence: Sequence[Evidence], texts: Sequence[Sequence[str]], embedder: Embedder
) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) embeddings of all sentences by themselves, and under the last heading over them."""
    flat = [text for found in texts for text in found]
    if not flat:
        return (np.empty((0, embedder.dimension), np.float32),) * 2
    under = [
        f"{piece.headings[-1]}\n{text}" if piece.headings else text
        for piece, found in zip(evidence, texts, strict=True) for text in found
    ]
    vectors = embedder.encode_documents([*flat, *under])
    return vectors[: len(flat)], vectors[len(flat) :]


def _with_reader(
    rows: list[list[float]], findings: Sequence[Finding], owner: Sequence[int], texts: Sequence[Sequence[str]],
    evidence: Sequence[Evidence],
) -> list[list[float]]:
    """The rows with READER_FEATURES and ROW_FEATURES behind them."""
    tables = [table_header(piece) for piece in evidence]
    headers = [text == header for header, found in zip(tables, texts, strict=True) for text in found]
    matches = sentence_features.row_matches(rows, owner, headers)
    return [
        [*row, *sentence_features.reader_features(finding, row), match]
        for row, finding, match in zip(rows, findings, matches, strict=True)
    ]


def _findings(context: Context, number: int, spans: Sequence[tuple[int, int]]) -> list[Finding]:
    """The reader's best answer within each sentence of one piece of evidence, in characters of its text."""
    text, reading = context.evidence[number].text, context.readings[number]
    found = []
    for span in spans:
        parts = quotable_spans.parts(text, *span)
        within = [best(reading.windows, (reading.offset + start, reading.offset + end)) for start, end in parts]
        one = best_part(within)
        start, end = (max(0, place - reading.offset) for place in (one.start, one.end))
        found.append(replace(one, start=start, end=end))
    return found


def best_part(findings: Sequence[Finding]) -> Finding:
    """The best answer of a sentence's parts; its margin counts against the best of the other parts too."""
    first, *others = sorted(findings, key=lambda finding: -finding.span)
    if not others or others[0] == NOTHING:
        return first
    return replace(first, margin=min(first.margin, first.span - others[0].span))
