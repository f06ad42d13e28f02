"""The embedded generators: the best supported sentences of the evidence, verbatim; an abstention where support is weak.

A question for a picture is answered with one (rag.lookups.picture_lookup). `quote` goes by likeness and shared words alone. `embedded` has a trained reader read the evidence too: its findings are further
features of every sentence, and the answer that it finds within the quoted sentence is said again on a line of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from indexing.embedder import Embedder
from indexing.index import IndexReader
from indexing.types import Modality
from models.common.errors import WeightsError
from models.reader import shipped_weights
from models.reader.coordinates import Kind
from models.reader.extractive_reader import NOTHING, Finding, Window
from models.reader.windows import Passage
from rag import image_features
from rag.config import ConfigError
from rag.generators.protocol import ABSTENTION
from rag.generators.quote import quotable_spans, sentence_features
from rag.generators.quote.sentence_features import Asked
from rag.lookups import picture_lookup
from rag.lookups.decide import look_up
from rag.lookups.result import LookupResult
from rag.lookups.table_cells import named_cells
from rag.types import Context, Draft, Evidence, Support
from rag.understand import asks_for_picture, words

if TYPE_CHECKING:
    from models.reader.extractive_reader import Reader
    from models.reader.shipped_weights import Shipped

SECOND = 0.8  # a further sentence is quoted when it scores at least this share of the best one
CHUNKS = 8  # of the evidence that are read sentence by sentence
LONGEST_SHORT = 0.6  # an answer that is more of its sentence than this is not said again
MISDATED = 0.05  # the most that an answer is likely right which stands under another year than the question's: of 1,326 development cases 3, all wrong
CLEAR = 3.0  # log-odds by which it must be better than another one in its sentence: bench/margins.py


@dataclass(frozen=True, slots=True)
class Weights:
    """sentence: of the features of a sentence; answer, bias: logistic regression of the confidence; threshold: its least.

    risks: (risk, threshold) pairs: from which confidence on at most that share of the quotes was wrong, where they were fitted. shown, shown_bias: of the
    confidence that a picture shows what is asked for (rag.lookups.picture_lookup).
    """

    sentence: tuple[float, ...]
    answer: tuple[float, ...]
    bias: float
    threshold: float
    risks: tuple[tuple[float, float], ...] = ()
    shown: tuple[float, ...] = ()
    shown_bias: float = 0.0

    @classmethod
    def beside(cls, reader: Shipped) -> Weights:
        """What rag/training/fit_reader.py wrote for a shipped reader. Raises WeightsError."""
        values, where = reader.calibration, reader.weights.with_name(shipped_weights.CONFIG)
        try:
            made = cls(tuple(map(float, values["sentence"])), tuple(map(float, values["answer"])), float(values["bias"]), float(values["threshold"]),
                       tuple((float(risk), float(at)) for risk, at in values["risks"]), tuple(map(float, values["shown"])), float(values["shown_bias"]))
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{where} has no calibration ({error!r}): restore it from the repository") from error
        read = len(sentence_features.READER_FEATURES)
        features = [len(sentence_features.SENTENCE_FEATURES) + read + len(sentence_features.ROW_FEATURES), len(sentence_features.ANSWER_FEATURES) + read, len(picture_lookup.SHOWN_FEATURES)]
        if [len(made.sentence), len(made.answer), len(made.shown)] != features:
            raise WeightsError(f"{where} is calibrated for other features: take weights and program from the same release")
        return made

    def threshold_of(self, risk: float) -> float:
        """The least confidence at which no more than this share of the answers is expected to be wrong. Raises ConfigError."""
        fitting = [threshold for known, threshold in self.risks if known <= risk]
        if not fitting:
            raise ConfigError(f"risk {risk} cannot be kept: " + (f"the least that can is {self.risks[0][0]}" if self.risks else "this generator is fitted for none"))
        return fitting[-1]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that the sentences of a context show for a question. `owner[i]` is the evidence of sentence i.

    openings: of each evidence's document what stands before the chunk: of documents of one form often only that says which it is.
    """

    question: Asked
    evidence: tuple[Evidence, ...]
    openings: tuple[str, ...]
    owner: list[int]
    spans: list[tuple[int, int]]
    features: np.ndarray  # (n, SENTENCE_FEATURES, and READER_FEATURES and ROW_FEATURES where a reader read)
    vectors: np.ndarray  # (n, d) of the sentences alone
    findings: list[Finding]  # of the reader, one for each sentence; empty without one
    windows: list[Window]  # of the reader over the evidence, each under its headings
    heads: list[int]  # characters that stand before each evidence's text there

    def by_evidence(self) -> list[list[tuple[int, int]]]:
        """The sentences of each evidence."""
        return [[span for span, owner in zip(self.spans, self.owner, strict=True) if owner == at] for at in range(len(self.evidence))]

    def at(self, found: LookupResult) -> int:
        """The sentence that holds the beginning of the value."""
        spans = enumerate(zip(self.spans, self.owner, strict=True))
        return next(i for i, (span, at) in spans if at == found.evidence and span[0] <= found.value[0] < span[1])


def read(
    question: str, context: Context, embedder: Embedder, index: IndexReader, reader: Reader | None = None, budget: float = math.inf
) -> Attempt:
    """Compare the question with each sentence of the context. budget: of the reader, see models.reader.extractive_reader.Reader.study."""
    evidence = context.evidence[:CHUNKS]
    counts = index.word_counts(words(question))
    asked = sentence_features.asked(question, embedder.encode_queries([question])[0], counts, index.count())
    openings = tuple(index.opening(piece.document)[: piece.locator.char_start] for piece in evidence)
    spans = [quotable_spans.candidates(piece.text) for piece in evidence]
    texts = [[piece.text[start:end] for start, end in found] for piece, found in zip(evidence, spans, strict=True)]
    under = [f"{piece.headings[-1]}\n{text}" if piece.headings else text for piece, found in zip(evidence, texts, strict=True) for text in found]
    flat = [text for found in texts for text in found]
    vectors = embedder.encode_documents([*flat, *under]) if flat else np.empty((0, embedder.dimension), np.float32)
    rows, at = [], 0
    for rank, (piece, found) in enumerate(zip(evidence, texts, strict=True)):
        end = at + len(found)
        rows += sentence_features.chunk_features(asked, piece, rank, openings[rank], found, vectors[at:end], vectors[len(flat) + at : len(flat) + end])
        at = end
    owner = [rank for rank, found in enumerate(spans) for _ in found]
    findings, windows, heads = _findings(question, context, evidence, openings, spans, reader, index, budget) if reader else ([], [], [])
    names = sentence_features.SENTENCE_FEATURES + (sentence_features.READER_FEATURES + sentence_features.ROW_FEATURES if reader else ())
    if reader:
        matches = sentence_features.row_matches(rows, owner, [text == quotable_spans.table_header(evidence[at]) for text, at in zip(flat, owner, strict=True)])
        rows = [[*row, *sentence_features.reader_features(finding, row), match] for row, finding, match in zip(rows, findings, matches, strict=True)]
    features = np.array(rows, np.float64).reshape(len(flat), len(names))
    return Attempt(asked, evidence, openings, owner, [span for found in spans for span in found], features, vectors[: len(flat)], findings, windows, heads)


def _findings(
    question: str, context: Context, evidence: tuple[Evidence, ...], openings: tuple[str, ...], spans: list[list[tuple[int, int]]], reader: Reader,
    index: IndexReader, budget: float,
) -> tuple[list[Finding], list[Window], list[int]]:
    """The reader's best answer within each candidate of each chunk, counted in the chunk's text; and what it read.

    A chunk is read under its headings and the opening of its document, rows also under their table's header. A picture is looked at only where a picture is asked
    for or it has no words: else these answer.
    """
    before = [f"{header}\n" if (header := quotable_spans.table_header(piece)) and not piece.text.startswith(header) else "" for piece in evidence]
    titles = [
        " - ".join([*(heading for heading in piece.headings if heading != quotable_spans.table_header(piece)), *([opening] if opening else [])])
        for piece, opening in zip(evidence, openings, strict=True)
    ]
    boxes = [index.word_boxes(piece.locator, recognised=True) if piece.modality is Modality.IMAGE else () for piece in evidence]
    wanted = asks_for_picture(question)
    pictures = [image_features.seen(context.pictures[at]) if at in context.pictures and (wanted or not piece.text.strip()) else None for at, piece in enumerate(evidence)]
    passages = [Passage(head + piece.text, *rest) for piece, head, *rest in zip(evidence, before, titles, boxes, pictures, strict=True)]
    parts = [[quotable_spans.parts(piece.text, *span) for span in found] for piece, found in zip(evidence, spans, strict=True)]
    units = [[(len(head) + a, len(head) + b) for part in found for a, b in part] for head, found in zip(before, parts, strict=True)]
    findings = []
    studied, windows = reader.study(question, passages, units, budget)
    for head, found, answers in zip(before, parts, studied, strict=True):
        rest = iter(answers)
        best = [best_part([next(rest) for _ in part]) for part in found]
        findings += [replace(one, start=max(0, one.start - len(head)), end=max(0, one.end - len(head))) for one in best]
    return findings, windows, [len(head) for head in before]


def best_part(findings: Sequence[Finding]) -> Finding:
    """The best of a candidate's parts; its margin is against the others too."""
    first, *others = sorted(findings, key=lambda finding: -finding.span)
    return replace(first, margin=min(first.margin, first.span - others[0].span)) if others and others[0] != NOTHING else first


class QuoteGenerator:
    """reader_of: the reader for an index, which makes it `embedded`; budget: its operations for an answer. threshold: the least confidence of an answer; negative = the fitted one."""

    def __init__(
        self, embedder: Embedder, index: IndexReader, weights: Weights, threshold: float = -1.0,
        reader_of: Callable[[IndexReader], Reader] | None = None, budget: float = math.inf,
    ) -> None:  # fmt: skip
        self.name = "embedded" if reader_of else "quote"
        self._embedder, self._index, self._weights, self._reader_of, self._budget = embedder, index, weights, reader_of, budget
        self._reader = reader_of(index) if reader_of else None
        self._threshold = threshold if threshold >= 0 else weights.threshold

    def over(self, index: IndexReader) -> QuoteGenerator:
        """The same over another index, whose words it counts."""
        return QuoteGenerator(self._embedder, index, self._weights, self._threshold, self._reader_of, self._budget)

    def generate(self, question: str, context: Context) -> Iterator[str | Draft]:
        began = time.perf_counter()
        attempt = read(question, context, self._embedder, self._index, self._reader, self._budget)
        picture = self._shown(question, context, attempt) if asks_for_picture(question) or not attempt.spans else None
        details = {"threshold": self._threshold, "sentences": len(attempt.spans), **_cost(attempt, time.perf_counter() - began)}
        if not attempt.spans:
            yield self._as_told(picture or Draft(ABSTENTION, (), 0.0, abstained=True), details)
            return
        scores = attempt.features @ np.array(self._weights.sentence)
        best = int(np.argmax(scores))
        known = sentence_features.answer_features(attempt.question, scores, attempt.features, best, attempt.evidence, attempt.owner)
        confidence = round(float(sentence_features.probability(np.array([known]), self._weights.answer, self._weights.bias)[0]), 4)
        boxes = [self._index.word_boxes(piece.locator) for piece in attempt.evidence]
        found = look_up(question, attempt.evidence, attempt.by_evidence(), boxes)
        if found:
            best, confidence = attempt.at(found), max(confidence, found.confidence)
        details["looked_up"] = found.lookup.value if found else None
        if sentence_features.another_year(question, attempt.evidence[attempt.owner[best]], attempt.openings[attempt.owner[best]]):
            confidence = min(confidence, MISDATED)
        if confidence < self._threshold or (picture and picture.confidence > confidence):
            yield self._as_told(picture if picture and picture.confidence > confidence else Draft(ABSTENTION, (), confidence, abstained=True), details)
            return
        text, said = "", []
        for i in [best] if found else self._choose(attempt, sentence_features.shares(scores), best):
            piece, (start, end) = attempt.evidence[attempt.owner[i]], (found and found.label) or attempt.spans[i]
            lead = ("\n" if text else "") + quotable_spans.lead(piece, piece.text[start:end], text)
            at = len(text) + len(lead)
            said.append(Support(attempt.owner[i], start, end, at, at + end - start))
            yield lead + piece.text[start:end]
            text += lead + piece.text[start:end]
        ablation = self._ablation(question, attempt, best, found)  # after the sentences, which do not wait for it
        said[0] = replace(said[0], ablation=ablation)
        short = found.value if found else _short(attempt, best)
        if short and short != (said[0].start, said[0].end):
            start, end = short
            again = "\n" + attempt.evidence[attempt.owner[best]].text[start:end]
            said.append(Support(attempt.owner[best], start, end, len(text) + 1, len(text) + len(again), ablation))
            yield again
            text += again
        yield Draft(text, tuple(said), confidence, abstained=False, details=details)

    def _as_told(self, draft: Draft, details: dict[str, object]) -> Draft:
        """The draft, or an abstention where it is not sure enough."""
        if draft.confidence < self._threshold:
            draft = Draft(ABSTENTION, (), draft.confidence, abstained=True)
        return replace(draft, details=details)

    def _ablation(self, question: str, attempt: Attempt, best: int, found: LookupResult | None) -> float | None:
        """What the best sentence's evidence bears of the answer in it, or of what was looked up there, see rag.types.Support."""
        if self._reader is None:
            return None
        finding, owner = attempt.findings[best], attempt.owner[best]
        (start, end), head = found.value if found else (finding.start, finding.end), attempt.heads[owner]
        fall = self._reader.ablation(question, attempt.windows, owner, (head + start, head + end))
        return None if fall is None else round(fall, 2)

    def _choose(self, attempt: Attempt, shares: np.ndarray, best: int) -> list[int]:
        """The best sentence, and a second one that is nearly as good and says something else."""
        for i in np.argsort(-shares, kind="stable")[1:3]:
            if shares[i] >= SECOND * shares[best] and attempt.vectors[i] @ attempt.vectors[best] < 0.9:
                return [best, int(i)]
        return [best]

    def _shown(self, question: str, context: Context, attempt: Attempt) -> Draft | None:
        """The picture that shows what is asked for."""
        seen = replace(context, evidence=attempt.evidence)
        found = picture_lookup.look_up_picture(
            question, seen, attempt.windows, self._weights.shown, self._weights.shown_bias
        )
        if found is None:
            return None
        title, (start, end) = picture_lookup.title(question, context.evidence[found.evidence]), found.value
        support = Support(found.evidence, start, end, 0, len(title) if end else 0)
        return Draft(title, (support,), found.confidence, abstained=False)


def _cost(attempt: Attempt, seconds: float) -> dict[str, object]:
    """What the reader spent on the chunks, and on which it spent less; nothing without one."""
    if not attempt.windows:
        return {}
    live = {window.passage for window in attempt.windows if window.live}
    tokens = sum(len(window.ids) for window in attempt.windows)
    spent = [window.spent for window in attempt.windows]
    return {
        "blocks": {"live": len(live), "skipped": len(attempt.evidence) - len(live)},
        "experts": {kind.name.lower(): sum(window.kind is kind for window in attempt.windows) for kind in Kind},
        "null": round(sum(one.null for one in spent) / max(1, sum(one.routed for one in spent)), 4),
        "cost": {"flops": sum(one.flops for one in spent), "bytes": sum(one.bytes for one in spent), "kept": sum(one.kept for one in spent), "tokens_per_second": round(tokens / seconds)},
    }


def _short(attempt: Attempt, best: int) -> tuple[int, int] | None:
    """The reader's answer within the quoted sentence, where it is clearly shorter and clearly better than another one there.

    Of a table's row the cell, if the question names its column too: the reader alone mistakes it.
    """
    if not attempt.findings or attempt.findings[best] == NOTHING or attempt.findings[best].margin < CLEAR:
        return None
    finding, (start, end), piece = attempt.findings[best], attempt.spans[best], attempt.evidence[attempt.owner[best]]
    first, last, text = finding.start, finding.end, piece.text
    if len(quotable_spans.parts(text, start, end)) > 1:
        cells = named_cells(attempt.question.text, quotable_spans.table_header(piece), text[start:end])
        cell = next((cell for cell in cells if cell[0] <= first - start < cell[1]), None)
        if cell is None:
            return None
        first, last = start + cell[0], start + cell[1]
    return (first, last) if last - first <= LONGEST_SHORT * (end - start) else None
