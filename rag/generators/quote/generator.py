"""The extractive generators: the best supported sentences of the evidence, word for word, or an abstention.

`quote` weighs likeness and shared words. `embedded` weighs what the reader found in each sentence besides, and repeats
the reader's answer within the quoted sentence on a line of its own. A question for a picture is answered with one.
A pure function of query and context: knows no index, ranks nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from indexing.embedder import Embedder
from models.reader.extractive_reader import Reader
from models.reader.types import NOTHING
from rag.calibration import PictureWeights, QuoteWeights
from rag.generators.protocol import abstention
from rag.generators.quote import quotable_spans, sentence_features
from rag.generators.quote.comparison import Comparison, compare
from rag.logistic_regression import probability
from rag.lookups.decide import look_up
from rag.lookups.picture_lookup import look_up_picture, title
from rag.lookups.result import LookupResult
from rag.lookups.table_cells import named_cells, table_header
from rag.types import Context, Draft, Query, Support

SECOND = 0.8  # a further sentence is quoted when its share of the scores is at least this much of the best one's
ALIKE = 0.9  # cosine from which two sentences say the same
LONGEST_SHORT = 0.6  # an answer that takes more of its sentence than this is not repeated
CLEAR = 3.0  # log-odds by which the repeated answer beats any other in its sentence: python -m bench.margins
# The confidence of an answer under another year than the question's: of 1,326 development cases it was wrong in all 3.
OTHER_YEAR = 0.05


class QuoteGenerator:
    """weights: of the sentences and the confidence. threshold: the least confidence of an answer.

    reader: makes it `embedded`; the context must have been read by it. pictures: weights of the picture look-up.
    """

    def __init__(
        self, embedder: Embedder, weights: QuoteWeights, pictures: PictureWeights, threshold: float,
        reader: Reader | None = None,
    ) -> None:  # fmt: skip
        self.name = "embedded" if reader else "quote"
        self._embedder, self._weights, self._pictures, self._threshold = embedder, weights, pictures, threshold
        self._reader = reader

    def generate(self, query: Query, context: Context) -> Iterator[str | Draft]:
        made = compare(query, context if self._reader else replace(context, readings=()), self._embedder)
        shown = self._picture(query, made) if query.wants_picture or not made.spans else None
        details: dict[str, object] = {"threshold": self._threshold, "sentences": len(made.spans)}
        if not made.spans:
            yield self._checked(shown or abstention(0.0), details)
            return
        scores = made.features @ np.array(self._weights.sentence)
        boxes = [around.boxes for around in made.context.surroundings]
        found = look_up(query.text, made.evidence, made.by_evidence(), boxes)
        best = made.sentence_of(found) if found else int(np.argmax(scores))
        confidence = self._confidence(made, scores, found, best)
        details["looked_up"] = found.lookup.value if found else None
        if shown and shown.confidence > confidence:
            yield self._checked(shown, details)
            return
        if confidence < self._threshold:
            yield self._checked(abstention(confidence), details)
            return
        text, supports = "", []
        for number in [best] if found else _chosen(made, sentence_features.shares(scores), best):
            piece, (start, end) = made.evidence[made.owner[number]], (found and found.label) or made.spans[number]
            lead = ("\n" if text else "") + quotable_spans.lead(piece, piece.text[start:end], text)
            at = len(text) + len(lead)
            supports.append(Support(made.owner[number], start, end, at, at + end - start))
            yield lead + piece.text[start:end]
            text += lead + piece.text[start:end]
        ablation = self._ablation(query, made, best, found)  # after the sentences, which do not wait for it
        supports[0] = replace(supports[0], ablation=ablation)
        short, answer = found.value if found else _short_answer(made, best), None
        if short and short != (supports[0].start, supports[0].end):
            start, end = short
            again = "\n" + made.evidence[made.owner[best]].text[start:end]
            answer = (len(text) + 1, len(text) + len(again))
            supports.append(Support(made.owner[best], start, end, *answer, ablation))
            yield again
            text += again
        yield Draft(text, tuple(supports), confidence, abstained=False, details=details, answer=answer)

    def _confidence(self, made: Comparison, scores: np.ndarray, found: LookupResult | None, best: int) -> float:
        """How likely the best sentence is right, 0..1; a look-up is at least as sure as look-ups are."""
        likeliest = int(np.argmax(scores))
        row = sentence_features.answer_features(
            made.question, scores, made.features, likeliest, made.evidence, made.owner
        )
        weights = self._weights
        confidence = round(float(probability(np.array([row]), weights.answer, weights.bias)[0]), 4)
        if found:
            confidence = max(confidence, found.confidence)
        owner = made.owner[best]
        opening = made.context.surroundings[owner].opening
        if sentence_features.another_year(made.question.text, made.evidence[owner], opening):
            confidence = min(confidence, OTHER_YEAR)
        return confidence

    def _checked(self, draft: Draft, details: dict[str, object]) -> Draft:
        """The draft, or an abstention where it is not sure enough."""
        if draft.confidence < self._threshold:
            draft = abstention(draft.confidence)
        return replace(draft, details=details)

    def _ablation(self, query: Query, made: Comparison, best: int, found: LookupResult | None) -> float | None:
        """By how much the log-probability of the answer falls without its evidence, see rag.types.Support."""
        if self._reader is None:
            return None
        finding, reading = made.findings[best], made.context.readings[made.owner[best]]
        if not reading.windows:
            return None
        start, end = found.value if found else (finding.start, finding.end)
        windows = list(itertools.chain.from_iterable(one.windows for one in made.context.readings))
        span = (reading.offset + start, reading.offset + end)
        fall = self._reader.ablation(query.text, windows, reading.windows[0].passage, span)
        return None if fall is None else round(fall, 2)

    def _picture(self, query: Query, made: Comparison) -> Draft | None:
        """The picture that shows what is asked for."""
        found = look_up_picture(query.text, made.context, self._pictures if self._reader else None)
        if found is None:
            return None
        name, (start, end) = title(query.text, made.evidence[found.evidence]), found.value
        support = Support(found.evidence, start, end, 0, len(name) if end else 0)
        return Draft(name, (support,), found.confidence, abstained=False)


def _chosen(made: Comparison, shares: np.ndarray, best: int) -> list[int]:
    """The best sentence, and a second one that is nearly as good and says something else."""
    for number in np.argsort(-shares, kind="stable")[1:3]:
        if shares[number] >= SECOND * shares[best] and made.vectors[number] @ made.vectors[best] < ALIKE:
            return [best, int(number)]
    return [best]


def _short_answer(made: Comparison, best: int) -> tuple[int, int] | None:
    """The reader's answer within the quoted sentence, where it is clearly shorter and better than any other there.

    Of a table's row the cell, and only where the question names its column too: the reader alone mistakes cells.
    """
    if not made.findings or made.findings[best] == NOTHING or made.findings[best].margin < CLEAR:
        return None
    finding, (start, end), piece = made.findings[best], made.spans[best], made.evidence[made.owner[best]]
    first, last, text = finding.start, finding.end, piece.text
    if len(quotable_spans.parts(text, start, end)) > 1:
        cells = named_cells(made.question.text, table_header(piece), text[start:end])
        cell = next((cell for cell in cells if cell[0] <= first - start < cell[1]), None)
        if cell is None:
            return None
        first, last = start + cell[0], start + cell[1]
    return (first, last) if last - first <= LONGEST_SHORT * (end - start) else None
