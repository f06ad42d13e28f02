"""What kind of answer a question asks for: a look-up, a sum, a comparison, a summary, a greeting ...

In: a question. Out: its kind and the chance of it. Multinomial logistic regression over n-grams in which every word but
the common ones of questions is masked, so that it looks at the wording and not at the subject. Fitted by
`python -m rag.training.fit_question_kinds`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np

from models.common.errors import WeightsError
from models.reader.shipped_weights import FOLDER

FILE = FOLDER.with_name("question_kinds.safetensors")
SUPERLATIVE = "est"
NAME, NUMBER, START, END = "_", "~", "^", "$"  # masks: any other word, a number; before and behind the question
LONGEST = 40  # words of a question that are looked at
ORDER = 3  # words of an n-gram, at most
_TOKEN = re.compile(r"\d[\d.,]*|[^\W\d_]+(?:['’][^\W\d_]+)?|[?!,:%]")


class Kind(Enum):
    """The kinds, by their names in the weights."""

    LOOK_UP = "look_up"
    SUM = "sum"
    MEAN = "mean"
    COUNT = "count"
    LARGEST = "largest"
    SMALLEST = "smallest"
    DIFFERENCE = "difference"
    CHANGE = "change"
    RATIO = "ratio"
    SHARE = "share"
    LIST = "list"
    YES_OR_NO = "yes_or_no"
    HOW_TO = "how_to"
    SUMMARY = "summary"
    LIBRARY = "library"
    CAPABILITIES = "capabilities"
    GREETING = "greeting"
    THANKS = "thanks"


SMALL_TALK = frozenset({Kind.CAPABILITIES, Kind.GREETING, Kind.THANKS})
ABOUT_US = SMALL_TALK | {Kind.LIBRARY}  # answered without evidence
COMPUTED = frozenset({
    Kind.SUM, Kind.MEAN, Kind.COUNT, Kind.LARGEST, Kind.SMALLEST, Kind.DIFFERENCE, Kind.CHANGE, Kind.RATIO, Kind.SHARE,
})  # fmt: skip


# What a question must say so that this is computed where it looks like a look-up.
CUES = {
    Kind.COUNT: re.compile(r"\b(?:how many|number of)\b", re.IGNORECASE),
    Kind.LARGEST: re.compile(r"\b(?:most|\w{2,}est)\b", re.IGNORECASE),
    Kind.SMALLEST: re.compile(r"\b(?:least|fewest|\w{2,}est)\b", re.IGNORECASE),
    Kind.SUM: re.compile(r"\b(?:in total|altogether|in all|combined|sum)\b", re.IGNORECASE),
}


def kinds_of(question: str) -> list[tuple[Kind, float]]:
    """The kinds with their chances, 0..1, the likeliest first. Raises WeightsError for missing or damaged weights."""
    fitted = _weights()
    rows = [fitted.rows[gram] for gram in n_grams(question, fitted.known) if gram in fitted.rows]
    logits = fitted.weights[rows].sum(0) + fitted.bias
    chances = np.exp(logits - logits.max())
    pairs = zip(map(Kind, fitted.kinds), (chances / chances.sum()).tolist(), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])


def has_subject(question: str) -> bool:
    """Whether a question has words beside those of small talk."""
    return not _weights().small_talk.issuperset(_TOKEN.findall(question.casefold().replace("’", "'")))


def n_grams(question: str, known: frozenset[str]) -> frozenset[str]:
    """The distinct n-grams of a question. known: the words that are not masked. Runs of masked words become one."""
    words = [START]
    for token in _TOKEN.findall(question.casefold().replace("’", "'"))[:LONGEST]:
        masked = NUMBER if token[0].isdigit() else token if token in known or not token[0].isalpha() else _masked(token)
        if masked != NAME or words[-1] != NAME:
            words.append(masked)
    words.append(END)
    return frozenset(
        " ".join(words[first : first + length])
        for length in range(1, ORDER + 1) for first in range(len(words) - length + 1)
    )


def _masked(word: str) -> str:
    """NAME; of what looks like a superlative, its ending."""
    return SUPERLATIVE if len(word) > len(SUPERLATIVE) + 1 and word.endswith(SUPERLATIVE) else NAME


@dataclass(frozen=True, slots=True)
class _Fitted:
    """rows: of the n-grams in `weights` (n-grams, kinds). known: words that are not masked, small_talk: all of its."""

    kinds: list[str]
    rows: dict[str, int]
    weights: np.ndarray
    bias: np.ndarray
    known: frozenset[str]
    small_talk: frozenset[str]


@lru_cache(maxsize=1)
def _weights() -> _Fitted:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(FILE, "np") as file:
            meta = {name: json.loads(value) for name, value in file.metadata().items()}
            weights, bias = (file.get_tensor(name).astype(np.float32) for name in ("weights", "bias"))
        vocabulary = {gram: row for row, gram in enumerate(meta["n_grams"])}
        if weights.shape != (len(vocabulary), len(meta["kinds"])) or bias.shape != (len(meta["kinds"]),):
            raise ValueError("its parts do not fit")
        words, small_talk = frozenset(meta["words"]), frozenset(meta["small_talk"])
        return _Fitted(meta["kinds"], vocabulary, weights, bias, words, small_talk)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{FILE} is missing or damaged ({error}): restore it from the repository") from error
