"""The rules of a grounded answer as data, and a rule-based revision of an answer that breaks them.

After Constitutional AI (arXiv 2212.08073), with rules that count words in place of a model that judges.
In: an answer and its passage as words, lower case and punctuation apart, as the tokenizer splits them. Out: the names
of the broken rules (`critique`), or the words of the passage to say instead (`revise`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from models.training.prose import STOP

LONGEST = 16  # words of an answer; chosen, not fitted
FUNCTION = STOP - {"one", "two", "three", "first", "second", "last"}  # numbers answer questions


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to critique.

    words: of the answer, none where it abstains. passage: words of the cited passage. answerable: whether the reader's
    judge says that the passage answers. fall: how much the answer's log-probability falls when the passage is masked.
    """

    words: tuple[str, ...]
    passage: tuple[str, ...]
    answerable: bool
    fall: float


@dataclass(frozen=True, slots=True)
class Rule:
    """name: in reports. says: the rule in words. holds: whether an answer keeps it."""

    name: str
    says: str
    holds: Callable[[Answer], bool]


CONSTITUTION = (
    Rule(
        "supported", "every content word of the answer stands in the passage",
        lambda answer: not unsupported(answer.words, answer.passage),
    ),
    Rule(
        "together", "the words of the answer are one contiguous span of the passage",
        lambda answer: len(_longest_match(answer)) == len(answer.words),
    ),
    Rule(
        "read", "without the passage the answer is less likely",
        lambda answer: not answer.words or answer.fall > 0,
    ),
    Rule("short", f"the answer has at most {LONGEST} words", lambda answer: len(answer.words) <= LONGEST),
    Rule(
        "abstains", "it answers where the judge says that the passage does, and abstains elsewhere",
        lambda answer: bool(answer.words) == answer.answerable,
    ),
)  # fmt: skip


def critique(answer: Answer) -> tuple[str, ...]:
    """The names of the rules that an answer breaks."""
    return tuple(rule.name for rule in CONSTITUTION if not rule.holds(answer))


def revise(answer: Answer) -> range:
    """The words of the passage to say instead: the longest run of the answer's words, trimmed to content words.

    Empty where nothing should be said, or no content word is supported. The result keeps `supported` and `together`.
    """
    run = _longest_match(answer) if answer.answerable else range(0)
    full = [at for at in run if content(answer.passage[at : at + 1])]
    return range(full[0], full[-1] + 1) if full else range(0)


def content(words: Sequence[str]) -> list[str]:
    """The words that are neither function words nor punctuation."""
    return [word for word in words if word not in FUNCTION and any(map(str.isalnum, word))]


def unsupported(words: Sequence[str], passage: Sequence[str]) -> list[str]:
    """The content words that the passage does not contain."""
    found = set(passage)
    return [word for word in content(words) if word not in found]


def _longest_match(answer: Answer) -> range:
    """Where in the passage the longest run of the answer's words is."""
    match = SequenceMatcher(None, answer.words, answer.passage, autojunk=False).find_longest_match()
    return range(match.b, match.b + match.size)
