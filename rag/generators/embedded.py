"""The embedded generator: a trained reader finds the answer's span in the evidence; its sentence is quoted, then the span.

Where that is not sure enough, it abstains. The weights of the choice and of the confidence are fitted by bench/fit_reader.py
and stand beside the reader's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import shipped
from models.reader import Finding, Passage, Reader
from rag import quotes
from rag.generator import ABSTENTION
from rag.types import Context, Draft, Evidence, Support

CHOICE_FEATURES = ("span", "answerable", "evidence", "retrieved")
CONFIDENCE_FEATURES = ("span", "answerable", "evidence", "margin", "similarity", "both_channels")
LONGEST_SHORT = 0.6  # an answer that is more of its sentence than this is not said again


@dataclass(frozen=True, slots=True)
class Calibration:
    """choice: weights of CHOICE_FEATURES; confidence, bias: logistic regression over CONFIDENCE_FEATURES."""

    choice: tuple[float, ...]
    confidence: tuple[float, ...]
    bias: float
    threshold: float

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Calibration:
        return cls(tuple(values["choice"]), tuple(values["confidence"]), values["bias"], values["threshold"])


def passage_of(piece: Evidence) -> tuple[Passage, int]:
    """The evidence as the reader reads it, and how many characters of it stand before the chunk's own text."""
    header = quotes.table_header(piece)
    before = header + "\n" if header else ""
    title = " - ".join(heading for heading in piece.headings if heading != header)
    return Passage(before + piece.text, title), len(before)


def read(reader: Reader, question: str, evidence: Sequence[Evidence]) -> list[Finding]:
    """The reader's findings, their spans counted in each chunk's own text."""
    passages = [passage_of(piece) for piece in evidence]
    found = reader.read(question, [passage for passage, _ in passages])
    return [
        Finding(max(0, one.start - before), max(0, one.end - before), one.span, one.answerable, one.evidence)
        for one, (_, before) in zip(found, passages, strict=True)
    ]


def choice_features(findings: Sequence[Finding], evidence: Sequence[Evidence]) -> np.ndarray:
    """(n, len(CHOICE_FEATURES)) of the pieces of evidence."""
    rows = [(one.span, one.answerable, one.evidence, piece.score) for one, piece in zip(findings, evidence, strict=True)]
    return np.array(rows, np.float64).reshape(len(rows), len(CHOICE_FEATURES))


def confidence_features(findings: Sequence[Finding], evidence: Sequence[Evidence], scores: np.ndarray, best: int) -> list[float]:
    """CONFIDENCE_FEATURES of the best piece against the others. scores: (n,) of the choice."""
    chosen, piece = findings[best], evidence[best]
    others = np.delete(scores, best)
    dense = piece.channels.get("dense")
    return [
        chosen.span, chosen.answerable, chosen.evidence, float(scores[best] - others.max()) if len(others) else 0.0,
        dense.score if dense else 0.0, float(len(piece.channels) == 2),
    ]


class EmbeddedGenerator:
    """threshold: the least confidence of an answer; negative = the fitted one."""

    name = "embedded"

    def __init__(self, reader: Reader, calibration: Calibration, threshold: float = -1.0) -> None:
        self._reader, self._calibration = reader, calibration
        self._threshold = threshold if threshold >= 0 else calibration.threshold

    @classmethod
    def from_weights(cls, threshold: float = -1.0) -> EmbeddedGenerator:
        """With the weights that come with Folio. Raises WeightsError."""
        weights = shipped.describe()
        return cls(Reader(shipped.compute(weights)), Calibration.read(weights.calibration), threshold)

    def generate(self, question: str, context: Context) -> Iterator[str | Draft]:
        evidence = [piece for piece in context.evidence if piece.text.strip()]
        if not evidence:
            yield Draft(ABSTENTION, (), 0.0, abstained=True)
            return
        findings = read(self._reader, question, evidence)
        scores = choice_features(findings, evidence) @ np.array(self._calibration.choice)
        best = int(np.argmax(scores))
        shown = confidence_features(findings, evidence, scores, best)
        confidence = round(_logistic(np.dot(shown, self._calibration.confidence) + self._calibration.bias), 4)
        details = {"threshold": self._threshold, "passages": len(evidence)}
        if confidence < self._threshold:
            yield Draft(ABSTENTION, (), confidence, abstained=True, details=details)
            return
        piece = evidence[best]
        text, supports = _say(piece, context.evidence.index(piece), findings[best])
        yield text
        yield Draft(text, supports, confidence, abstained=False, details=details)


def _say(piece: Evidence, index: int, finding: Finding) -> tuple[str, tuple[Support, ...]]:
    """The sentence around the answer and, on a line of its own, the answer, where it is clearly shorter."""
    start, end = quotes.around(piece.text, finding.start, finding.end)
    text = quotes.lead(piece, piece.text[start:end], "")
    supports = [Support(index, start, end, len(text), len(text) + end - start)]
    text += piece.text[start:end]
    if 0 < finding.end - finding.start <= LONGEST_SHORT * (end - start):
        short = piece.text[finding.start : finding.end]
        supports.append(Support(index, finding.start, finding.end, len(text) + 1, len(text) + 1 + len(short)))
        text += "\n" + short
    return text, tuple(supports)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))
