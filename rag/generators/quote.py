"""The embedded generator: quotes the best supported sentences of the evidence, verbatim; abstains when support is weak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from indexing.embedder import Embedder
from indexing.reader import IndexReader
from indexing.types import Modality
from rag import quote_weights, quotes, support
from rag.generator import ABSTENTION
from rag.query import words
from rag.support import Asked
from rag.types import Context, Draft, Evidence, Support

SECOND = 0.8  # a further sentence is quoted when it scores at least this share of the best one
CHUNKS = 8  # of the evidence that are read sentence by sentence


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that the sentences of a context show for a question. `owner[i]` is the evidence of sentence i."""

    question: Asked
    evidence: tuple[Evidence, ...]
    owner: list[int]
    spans: list[tuple[int, int]]
    features: np.ndarray  # (n, len(SENTENCE_FEATURES))
    vectors: np.ndarray  # (n, d) of the sentences alone


def read(question: str, context: Context, embedder: Embedder, reader: IndexReader) -> Attempt:
    """Compare the question with each sentence of the context."""
    evidence = context.evidence[:CHUNKS]
    counts = reader.word_counts(words(question))
    asked = support.asked(question, embedder.encode_queries([question])[0], counts, reader.count())
    spans = [quotes.candidates(piece.text) for piece in evidence]
    texts = [[piece.text[start:end] for start, end in found] for piece, found in zip(evidence, spans, strict=True)]
    under = [f"{piece.headings[-1]}\n{text}" if piece.headings else text for piece, found in zip(evidence, texts, strict=True) for text in found]
    flat = [text for found in texts for text in found]
    vectors = embedder.encode_documents([*flat, *under]) if flat else np.empty((0, embedder.dimension), np.float32)
    rows, at = [], 0
    for rank, (piece, found) in enumerate(zip(evidence, texts, strict=True)):
        end = at + len(found)
        rows += support.chunk_features(asked, piece, rank, found, vectors[at:end], vectors[len(flat) + at : len(flat) + end])
        at = end
    owner = [rank for rank, found in enumerate(spans) for _ in found]
    features = np.array(rows, np.float64).reshape(len(flat), len(support.SENTENCE_FEATURES))
    return Attempt(asked, evidence, owner, [span for found in spans for span in found], features, vectors[: len(flat)])


class QuoteGenerator:
    """threshold: the least confidence of an answer; negative = the fitted one."""

    name = "quote"

    def __init__(self, embedder: Embedder, reader: IndexReader, threshold: float = -1.0) -> None:
        self._embedder, self._reader = embedder, reader
        self._threshold = threshold if threshold >= 0 else quote_weights.THRESHOLD

    def generate(self, question: str, context: Context) -> Iterator[str | Draft]:
        attempt = read(question, context, self._embedder, self._reader)
        if not attempt.spans:
            yield self._picture(question, context)
            return
        scores = attempt.features @ np.array(quote_weights.SENTENCE)
        best = int(np.argmax(scores))
        shown = support.answer_features(attempt.question, scores, attempt.features, best, attempt.evidence, attempt.owner)
        confidence = round(float(support.probability(np.array([shown]), quote_weights.ANSWER, quote_weights.ANSWER_BIAS)[0]), 4)
        details = {"threshold": self._threshold, "sentences": len(scores)}
        if confidence < self._threshold:
            yield Draft(ABSTENTION, (), confidence, abstained=True, details=details)
            return
        chosen = self._choose(attempt, support.shares(scores), best)
        text, supports = "", []
        for i in chosen:
            piece, (start, end) = attempt.evidence[attempt.owner[i]], attempt.spans[i]
            lead = ("\n" if text else "") + quotes.lead(piece, piece.text[start:end], text)
            at = len(text) + len(lead)
            supports.append(Support(attempt.owner[i], start, end, at, at + end - start))
            yield lead + piece.text[start:end]
            text += lead + piece.text[start:end]
        yield Draft(text, tuple(supports), confidence, abstained=False, details=details)

    def _choose(self, attempt: Attempt, shares: np.ndarray, best: int) -> list[int]:
        """The best sentence, and a second one that is nearly as good and says something else."""
        for i in np.argsort(-shares, kind="stable")[1:3]:
            if shares[i] >= SECOND * shares[best] and attempt.vectors[i] @ attempt.vectors[best] < 0.9:
                return [best, int(i)]
        return [best]

    def _picture(self, question: str, context: Context) -> Draft:
        """Evidence without a word: pictures found by their names. The best one is shown when its name is asked for."""
        piece = context.evidence[0]
        asked = support.stems(question)
        share = len(asked & support.stems(" ".join(piece.headings))) / len(asked) if asked else 0.0
        if piece.modality is not Modality.IMAGE or share < 0.5:
            return Draft(ABSTENTION, (), 0.0, abstained=True)
        return Draft(piece.headings[-1] if piece.headings else piece.document, (Support(0, 0, 0),), round(share, 4), abstained=False)
