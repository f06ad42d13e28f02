"""Says a question's answer in a sentence, or nothing where it finds no sentence that it may say.

In: a question and an answer that was read or computed. Out: a statement made of the question's words, function words
and the answer as a whole. What is known stands in the answer; nothing is added to it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from models.writer.beam import search
from models.writer.constraint import Constraint
from models.writer.decoder import Decoder, open_decoder
from models.writer.prompt import prompt
from models.writer.vocabulary import WORD, allowed_words, as_written, forms, is_free, unsaid

LONGEST_QUESTION, LONGEST_ANSWER = 40, 16  # words; beyond them nothing is said
MORE_TOKENS = 16  # than question and answer have, at most
# Chosen by eye on 110 development questions; `python -m bench.statements DATA --each` prints what they let through
LEAST_SCORE = -0.22  # mean log-probability of a token
MOST_UNSAID = 1  # content words of the question


@dataclass(frozen=True, slots=True)
class Statement:
    """text[start:end] is the answer. score: the mean log-probability of its tokens."""

    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Writer:
    """Thread-safe."""

    decoder: Decoder

    def say(self, question: str, answer: str, evidence: str = "") -> Statement | None:
        """The likeliest statement of one sentence, where it is likely and says what was asked.

        evidence: where the answer was read; it tells how the question's names are written.
        """
        answer, question = answer.strip(" .,;:\n"), as_written(question, evidence)
        if not answer or len(answer.split()) > LONGEST_ANSWER or len(question.split()) > LONGEST_QUESTION:
            return None
        tokenizer = self.decoder.tokenizer
        limits = _limits(f"{question} {answer}")

        def text_of(ids: tuple[int, ...]) -> str:
            return tokenizer.decode(list(ids)).strip()

        ids = tokenizer.encode(prompt(question, answer)).ids
        longest = len(tokenizer.encode(f"{question} {answer}").ids) + MORE_TOKENS
        constraint = Constraint(tokenizer, allowed_words(question), answer)
        found = search(self.decoder, ids, constraint, longest, lambda ids: not _loops(text_of(ids), limits))
        if not found or found[0].score < LEAST_SCORE:
            return None
        text = text_of(found[0].ids)
        start = text.casefold().find(answer.casefold())
        if start < 0 or len(unsaid(question, text)) > MOST_UNSAID:
            return None
        return Statement(text, start, start + len(answer), found[0].score)


@cache
def open_writer() -> Writer:
    """The writer of this process, opened once. Raises WeightsError each time where it cannot be."""
    return Writer(open_decoder())


def _limits(source: str) -> Counter[str]:
    """How often a statement may say each word, in any of its forms."""
    counts: Counter[str] = Counter()
    for word in WORD.findall(source):
        counts.update({form.casefold() for form in forms(word.casefold())})
    return counts


def _loops(text: str, limits: Counter[str]) -> bool:
    """Whether a word stands twice in a row, or a content word in any form more often than the question has it."""
    words = [word.casefold() for word in WORD.findall(text)]
    if any(one == other for one, other in pairwise(words)):
        return True
    counts = _limits(" ".join(word for word in words if not is_free(word)))
    return any(count > max(1, limits[word]) for word, count in counts.items())
