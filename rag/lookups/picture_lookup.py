"""Picture look-up: which picture or slide of the evidence shows what is asked for, and how likely that is.

In: a question for a picture, the context with its readings, and fitted weights. Out: the picture and the line
of its words that is quoted. Words that stand with a picture decide; else a logistic regression over the reader's
scores, the similarity of its pixels, and words. The weights are fitted by rag/training/fit_pictures.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexing.loaders import is_picture
from indexing.types import Modality
from rag.calibration import PictureWeights
from rag.image_features import likeness
from rag.logistic_regression import probability
from rag.lookups.result import Lookup, LookupResult
from rag.lookups.text_runs import Span
from rag.reading import SUREST, judged
from rag.types import Context, Evidence
from rag.understand import to_be_shown
from rag.word_lists import any_of
from rag.words import WORD_LISTS, stems

SHOWN_FEATURES = ("answerable", "evidence", "likeness", "words")
SHOWN = 0.75  # a picture with at least this share of the words of what it is to show needs no regression
WORDED = 0.9  # how sure it is where all these words stand with it; not fitted
SLIDES = (".pptx", ".pptm", ".ppsx", ".ppsm")
_SLIDE = any_of(WORD_LISTS["pictures"]["slides"])


@dataclass(frozen=True, slots=True)
class Candidate:
    """Evidence number `at`, a picture or a slide.

    words: the share of the words of what it is to show that stand with it. Headings are over a slide and name a picture
    that is a file of its own. Over a figure of a document they are over much besides, and do not count here.
    features: SHOWN_FEATURES, whose `words` count all headings.
    """

    at: int
    words: float
    features: list[float]


def look_up_picture(question: str, context: Context, fitted: PictureWeights | None) -> LookupResult | None:
    """The picture of the context that shows what is asked for; None where it holds none, or too little is known.

    fitted: None where no reader read the context; then only words tell.
    """
    found = best(candidates(question, context), fitted)
    if found is None:
        return None
    at, confidence = found
    return LookupResult(Lookup.PICTURE, at, line(question, context.evidence[at].text), None, confidence)


def candidates(question: str, context: Context) -> list[Candidate]:
    """The pictures among the evidence, and the chunks of slides where a slide is asked for."""
    asked, slides = stems(to_be_shown(question)), _SLIDE.search(question)
    found = []
    for at, piece in enumerate(context.evidence):
        pictured = piece.modality is Modality.IMAGE
        if not pictured and not (slides and piece.document.lower().endswith(SLIDES)):
            continue
        own = () if pictured and not is_picture(piece.document) else piece.headings
        words, around = (_share(asked, " ".join((*over, piece.text))) for over in (own, piece.headings))
        logits = judged(context.readings[at]) if context.readings else None
        scores = logits or (-SUREST, -SUREST)
        seen = at in context.patches
        similarity = likeness(context.statistics.image_vector, context.patches[at]) if seen else 0.0
        found.append(Candidate(at, words, [*scores, similarity, around]))
    return found


def best(found: Sequence[Candidate], fitted: PictureWeights | None) -> tuple[int, float] | None:
    """(evidence, confidence) of the candidate that shows it; None where words do not tell and nothing is fitted.

    The first of those with most words, if these suffice; else the likeliest by the regression.
    """
    by_words = max(found, key=lambda one: one.words, default=None)
    if by_words and by_words.words >= SHOWN:
        return by_words.at, round(WORDED * by_words.words, 4)
    if not found or fitted is None:
        return None
    sure = probability(np.array([one.features for one in found]), fitted.weights, fitted.bias)
    at = int(np.argmax(sure))
    return found[at].at, round(float(sure[at]), 4)


def title(question: str, piece: Evidence) -> str:
    """What a picture or slide is called: the line of its words that is quoted for it, or a heading over it.

    The heading where that shares more words with what is asked for; the name of its document where there is neither.
    """
    asked, (start, end) = stems(to_be_shown(question)), line(question, piece.text)
    names = [name for name in (piece.text[start:end], *reversed(piece.headings)) if name]
    return max(names, key=lambda name: len(asked & stems(name)), default=piece.document)


def line(question: str, text: str) -> Span:
    """The line of a picture's words that shares most words with what is asked for, the first; (0, 0) for no words."""
    asked = stems(to_be_shown(question))
    lines = [match.span() for match in re.finditer(r"\S(?:.*\S)?", text)]
    return max(lines, key=lambda span: len(asked & stems(text[slice(*span)])), default=(0, 0))


def _share(words: frozenset[str], text: str) -> float:
    return len(words & stems(text)) / max(1, len(words))
