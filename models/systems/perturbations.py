"""HELM's perturbations of robustness and fairness (arXiv 2211.09110), by rule.

In: a question with its passage. Out: the same question, perturbed. ROBUSTNESS changes the question alone: typing
errors, contractions, paraphrases of "who" or "how many". FAIRNESS changes question, title, passage and answers alike,
as HELM does: a dialect, women for men, other first names; an answer remains the same span of the passage. None changes
a number.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from models.systems.word_lists import CONTRACTED, DIALECT, FEMALE, NAMES, NEAR
from models.training.question_sets import QaRow, Span

Perturbation = Callable[[QaRow, random.Random], QaRow]
TYPOS = 0.05  # share of the letters of a question; chosen, not fitted
EXPANDED = {short: long for long, short in CONTRACTED.items()}
PARAPHRASES = (  # the first pattern that matches
    (r"what (?:is|was) the name of", "what do they call"),
    (r"how many", "what number of"),
    (r"how much", "what amount of"),
    (r"how long", "for what length of time"),
    (r"how often", "with what frequency"),
    (r"who", "which person"),
    (r"when", "at what time"),
    (r"where", "in what place"),
    (r"why", "for what reason"),
    (r"how", "in what way"),
    (r"which", "what"),
)
LEAD = "please tell me, "  # in front of a question that no pattern matches


@dataclass(frozen=True, slots=True)
class Edited:
    """A text with replacements: of each (start, end) in the old text and (start, end) in the new one, in order."""

    text: str
    parts: tuple[tuple[int, int, int, int], ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where the old text's characters start..end are; a replacement that they cut counts whole."""
        return self._moved(start, last=False), self._moved(end, last=True)

    def _moved(self, at: int, *, last: bool) -> int:
        shift = 0
        for start, end, new_start, new_end in self.parts:
            if start < at < end:
                return new_end if last else new_start
            if end <= at:
                shift = new_end - end
        return at + shift


def edit(text: str, pattern: re.Pattern[str], other: Callable[[str], str]) -> Edited:
    """Replace each match by other(match in lower case), in the case of the match."""
    made, parts, done = "", [], 0
    for found in pattern.finditer(text):
        new = cased(found[0], other(found[0].lower()))
        made += text[done : found.start()]
        parts.append((found.start(), found.end(), len(made), len(made) + len(new)))
        made, done = made + new, found.end()
    return Edited(made + text[done:], tuple(parts))


def cased(old: str, new: str) -> str:
    """`new` in capitals, or with a capital, where `old` is."""
    if old.isupper() and len(old) > 1:
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def typos(row: QaRow, rng: random.Random) -> QaRow:
    """Replace a share TYPOS of the letters by a neighbour on the keyboard, but for words with a digit."""

    def mistyped(letter: str) -> str:
        near = NEAR.get(letter.lower()) if rng.random() < TYPOS else None
        return cased(letter, rng.choice(near)) if near else letter

    words = re.split(r"(\s+)", row.question)
    typed = [word if any(sign.isdigit() for sign in word) else "".join(map(mistyped, word)) for word in words]
    return replace(row, question="".join(typed))


def contraction(row: QaRow, rng: random.Random) -> QaRow:
    """Expand the contractions; in a question without any, contract what can be."""
    long = _edited(row.question, EXPANDED)
    return replace(row, question=long if long != row.question else _edited(row.question, CONTRACTED))


def paraphrase(row: QaRow, rng: random.Random) -> QaRow:
    """Paraphrase the question word that begins the question; without one, put LEAD in front."""
    for asked, other in PARAPHRASES:
        pattern = rf"(\W*(?:(?:at|by|for|from|in|of|on|to|with) )?)({asked})(?![\w'’-])"
        first = re.match(pattern, row.question, re.IGNORECASE)
        if first:
            return replace(row, question=first[1] + cased(first[2], other) + row.question[first.end() :])
    return replace(row, question=cased(row.question, LEAD) + row.question)


def dialect(row: QaRow, rng: random.Random) -> QaRow:
    return substituted(row, DIALECT)


def gender(row: QaRow, rng: random.Random) -> QaRow:
    return substituted(row, FEMALE)


def names(row: QaRow, rng: random.Random) -> QaRow:
    """Replace each first name by another one, the same throughout the row."""
    chosen = {name: rng.choice(others).capitalize() for own, others in NAMES.values() for name in own}
    return substituted(row, chosen, capitals=True)


ROBUSTNESS: Mapping[str, Perturbation] = {"typos": typos, "contraction": contraction, "paraphrase": paraphrase}
FAIRNESS: Mapping[str, Perturbation] = {"dialect": dialect, "gender": gender, "names": names}


def perturbed(row: QaRow, name: str, seed: int = 0) -> QaRow:
    """A row under the perturbation of this name; depends on row, name and seed alone."""
    rng = random.Random(f"{seed}-{name}-{row.id}-{row.question}")
    return {**ROBUSTNESS, **FAIRNESS}[name](row, rng)


def substituted(row: QaRow, words: Mapping[str, str], *, capitals: bool = False) -> QaRow:
    """Replace words throughout question, title, passage and answers. capitals: only words with a capital."""
    pattern = _pattern(words, capitals=capitals)

    def new(text: str) -> str:
        return edit(text, pattern, words.__getitem__).text

    context = edit(row.context, pattern, words.__getitem__)
    answers = []
    for answer in row.answers:
        if answer.start >= 0:
            start, end = context.span(answer.start, answer.start + len(answer.text))
            answers.append(Span(context.text[start:end], start))
        else:  # it is no span of the passage
            answers.append(Span(new(answer.text), -1))
    boxes = tuple((*context.span(start, end), *sides) for start, end, *sides in row.boxes)
    question, title = new(row.question), new(row.title)
    return replace(row, question=question, title=title, context=context.text, answers=tuple(answers), boxes=boxes)


def _edited(text: str, words: Mapping[str, str]) -> str:
    return edit(text, _pattern(words), words.__getitem__).text


def _pattern(words: Mapping[str, str], *, capitals: bool = False) -> re.Pattern[str]:
    """Matches any of the words, the longest first: "is not" before "is"."""
    listed = sorted(map(re.escape, words), key=len, reverse=True)
    first = "(?=[A-Z])" if capitals else ""
    return re.compile(rf"(?<![\w'’-]){first}(?ai:{'|'.join(listed)})(?![\w'’-])")  # a: else ſ matches s
