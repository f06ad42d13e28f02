"""The rules that a grounded answer keeps, and what becomes of one that breaks them: critique and revision (after Constitutional AI, arXiv 2212.08073).

The rules are data: each is looked at by itself, by counting, without a model. Knows words only, as a tokenizer parts them: lower case, punctuation apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from models.training.prose import STOP

LONGEST = 16  # words of an answer
FUNCTION = STOP - {"one", "two", "three", "first", "second", "last"}  # numbers answer questions


@dataclass(frozen=True, slots=True)
class Answer:
    """What is critiqued: the words said (none: it abstains) and those of the passage that is cited for them.

    there: whether the judge of the memory says that the passage answers. fall: by how much the answer's log-probability falls when the passage is masked.
    """

    words: tuple[str, ...]
    passage: tuple[str, ...]
    there: bool
    fall: float


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    says: str
    keeps: Callable[[Answer], bool]


CONSTITUTION = (
    Rule("supported", "every content word of the answer stands in the passage", lambda answer: not unsupported(answer.words, answer.passage)),
    Rule("together", "the words of the answer stand together in the passage, in one span", lambda answer: len(_longest(answer)) == len(answer.words)),
    Rule("read", "without the passage the answer is less likely", lambda answer: not answer.words or answer.fall > 0),
    Rule("short", f"the answer has at most {LONGEST} words", lambda answer: len(answer.words) <= LONGEST),
    Rule("abstains", "something is said where the judge says that it is there, and nothing where not", lambda answer: bool(answer.words) == answer.there),
)


def critique(answer: Answer) -> tuple[str, ...]:
    """The names of the rules that an answer breaks."""
    return tuple(rule.name for rule in CONSTITUTION if not rule.keeps(answer))


def revise(answer: Answer) -> range:
    """Which words of the passage should be said instead: of the answer's words the most that stand together there, from content word to content word.

    Empty where nothing should be said, or nothing of it is supported. It keeps `supported` and `together`.
    """
    found = _longest(answer) if answer.there else range(0)
    full = [at for at in found if content(answer.passage[at : at + 1])]
    return range(full[0], full[-1] + 1) if full else range(0)


def content(words: Sequence[str]) -> list[str]:
    """The words that carry meaning."""
    return [word for word in words if word not in FUNCTION and any(map(str.isalnum, word))]


def unsupported(words: Sequence[str], passage: Sequence[str]) -> list[str]:
    """The content words that stand nowhere in the passage."""
    there = set(passage)
    return [word for word in content(words) if word not in there]


def _longest(answer: Answer) -> range:
    """Where in the passage the longest run of the answer's words stands."""
    match = SequenceMatcher(None, answer.words, answer.passage, autojunk=False).find_longest_match()
    return range(match.b, match.b + match.size)
