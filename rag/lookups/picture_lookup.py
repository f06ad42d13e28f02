"""Which picture of the evidence, or slide, shows what is asked for, and how sure that is: by the words that stand with it, else by what the reader and the tower see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexing.loaders import is_picture
from indexing.types import Modality
from models.reader.types import Window
from rag import image_features
from rag.generators.quote import sentence_features
from rag.types import Context, Evidence
from rag.understand import to_be_shown

SHOWN_FEATURES = ("answerable", "evidence", "likeness", "words")
SHOWN = 0.75  # share of the words of what a picture is to show that tell it by themselves where they stand with it
SLIDES = (".pptx", ".pptm", ".ppsx", ".ppsm")
SLIDE = re.compile(r"\bslides?\b", re.IGNORECASE)
WORDED = 0.9  # how sure that is where all do, which is not fitted


@dataclass(frozen=True, slots=True)
class Candidate:
    """Evidence number `at`, a picture or slide; words: the share of what is asked for that stands with it. Headings are over a slide and name a picture that is a file of its
    own; over a figure of a document they are over much besides, so that they tell nothing by themselves.
    """

    at: int
    words: float
    features: list[float]  # SHOWN_FEATURES, where words are those of headings too


def candidates(question: str, context: Context, windows: Sequence[Window]) -> list[Candidate]:
    """The pictures among the evidence, and where a slide is asked for what stands on slides. windows: what a reader made of it, none without one."""
    asked = to_be_shown(question)
    stems, slides = sentence_features.stems(asked), SLIDE.search(question)
    found = []
    for at, piece in enumerate(context.evidence):
        if piece.modality is not Modality.IMAGE and not (slides and piece.document.lower().endswith(SLIDES)):
            continue
        own = () if piece.modality is Modality.IMAGE and not is_picture(piece.document) else piece.headings
        words, around = (len(stems & sentence_features.stems(" ".join((*over, piece.text)))) / max(1, len(stems)) for over in (own, piece.headings))
        judged = [one.judged for one in windows if one.passage == at and one.was_read]
        read = np.clip(np.max(judged, 0), -sentence_features.SUREST, sentence_features.SUREST).tolist() if judged else [-sentence_features.SUREST] * 2
        likeness = image_features.likeness(question, context.pictures[at]) if windows and at in context.pictures else 0.0
        found.append(Candidate(at, words, [*read, likeness, around]))
    return found


def best(found: Sequence[Candidate], weights: Sequence[float], bias: float) -> tuple[int, float] | None:
    """The evidence that shows it, and how likely: the one whose words say so, else the likeliest by the weights, where there are any. None where nothing may."""
    by_words = max(found, key=lambda one: one.words, default=None)  # the first of the best
    if by_words and by_words.words >= SHOWN:
        return by_words.at, round(WORDED * by_words.words, 4)
    if not found or not weights:
        return None
    sure = sentence_features.probability(np.array([one.features for one in found]), weights, bias)
    at = int(np.argmax(sure))
    return found[at].at, round(float(sure[at]), 4)


def title(question: str, piece: Evidence) -> tuple[str, tuple[int, int]]:
    """What a picture or slide is called, and the line of its words that is quoted for it: that line, or the heading over it where that says more of what is asked for."""
    stems, (start, end) = sentence_features.stems(to_be_shown(question)), line(question, piece.text)
    names = [name for name in (piece.text[start:end], *reversed(piece.headings)) if name]
    return max(names, key=lambda name: len(stems & sentence_features.stems(name)), default=piece.document), (start, end)


def line(question: str, text: str) -> tuple[int, int]:
    """Where that line of a picture's words stands that says most of what is asked for, the first of the best; (0, 0) where there are none."""
    stems = sentence_features.stems(to_be_shown(question))
    lines = [(match.start(), match.end()) for match in re.finditer(r"\S(?:.*\S)?", text)]
    return max(lines, key=lambda span: len(stems & sentence_features.stems(text[span[0] : span[1]])), default=(0, 0))
