"""Questions asked in other words: the perturbations by which HELM (arXiv 2211.09110) measures robustness and fairness, made by rule.

ROBUSTNESS changes the question alone: typing errors, contractions, other words for "who" or "how many". FAIRNESS changes question, title, passage and answers
alike, as HELM does: a dialect, women for men, other first names; an answer stays the span of the passage that it was. None touches a number.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from models.systems.word_lists import CONTRACTED, DIALECT, FEMALE, NAMES, NEAR
from models.training.question_sets import QaRow, Span

Perturbation = Callable[[QaRow, random.Random], QaRow]
TYPOS = 0.05  # of the letters
EXPANDED = {short: long for long, short in CONTRACTED.items()}
ASKED = (  # the first that fits
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
LEAD = "please tell me, "  # before a question that none of these fits


@dataclass(frozen=True, slots=True)
class Edited:
    """A text with some of its parts replaced: (start, end) before, (start, end) after, in order."""

    text: str
    parts: tuple[tuple[int, int, int, int], ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where characters start..end have gone; a part of which they were some counts whole."""
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
    """Replace what a pattern finds, case kept: other("he") stands for "He" too."""
    made, parts, done = "", [], 0
    for found in pattern.finditer(text):
        new = cased(found[0], other(found[0].lower()))
        made += text[done : found.start()]
        parts.append((found.start(), found.end(), len(made), len(made) + len(new)))
        made, done = made + new, found.end()
    return Edited(made + text[done:], tuple(parts))


def cased(old: str, new: str) -> str:
    if old.isupper() and len(old) > 1:
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def typos(row: QaRow, rng: random.Random) -> QaRow:
    """TYPOS of the letters become their neighbours on the keyboard; words that hold a digit are left."""

    def mistyped(letter: str) -> str:
        near = NEAR.get(letter.lower()) if rng.random() < TYPOS else None
        return cased(letter, rng.choice(near)) if near else letter

    words = re.split(r"(\s+)", row.question)
    return replace(row, question="".join(word if any(sign.isdigit() for sign in word) else "".join(map(mistyped, word)) for word in words))


def contraction(row: QaRow, rng: random.Random) -> QaRow:
    """What is contracted is written out; else what can be contracted is."""
    long = _edited(row.question, EXPANDED)
    return replace(row, question=long if long != row.question else _edited(row.question, CONTRACTED))


def paraphrase(row: QaRow, rng: random.Random) -> QaRow:
    """Other words for the question word that it begins with; without one LEAD before the question."""
    for asked, other in ASKED:
        first = re.compile(rf"(\W*(?:(?:at|by|for|from|in|of|on|to|with) )?)({asked})(?![\w'’-])", re.IGNORECASE).match(row.question)
        if first:
            return replace(row, question=first[1] + cased(first[2], other) + row.question[first.end() :])
    return replace(row, question=cased(row.question, LEAD) + row.question)


def dialect(row: QaRow, rng: random.Random) -> QaRow:
    return substituted(row, DIALECT)


def gender(row: QaRow, rng: random.Random) -> QaRow:
    return substituted(row, FEMALE)


def names(row: QaRow, rng: random.Random) -> QaRow:
    """Each name becomes one and the same throughout."""
    chosen = {name: rng.choice(others).capitalize() for own, others in NAMES.values() for name in own}
    return substituted(row, chosen, capitals=True)


ROBUSTNESS: Mapping[str, Perturbation] = {"typos": typos, "contraction": contraction, "paraphrase": paraphrase}
FAIRNESS: Mapping[str, Perturbation] = {"dialect": dialect, "gender": gender, "names": names}


def perturbed(row: QaRow, name: str, seed: int = 0) -> QaRow:
    """What depends on the row, the name of the perturbation and the seed alone."""
    return {**ROBUSTNESS, **FAIRNESS}[name](row, random.Random(f"{seed}-{name}-{row.id}-{row.question}"))


def substituted(row: QaRow, words: Mapping[str, str], *, capitals: bool = False) -> QaRow:
    """Words for words in all that the row says. capitals: only of such as begin with one."""
    pattern = _pattern(words, capitals=capitals)

    def new(text: str) -> str:
        return edit(text, pattern, words.__getitem__).text

    context = edit(row.context, pattern, words.__getitem__)
    answers = []
    for answer in row.answers:
        start, end = context.span(answer.start, answer.start + len(answer.text)) if answer.start >= 0 else (-1, -1)
        answers.append(Span(context.text[start:end], start) if answer.start >= 0 else Span(new(answer.text), -1))
    boxes = tuple((*context.span(start, end), *sides) for start, end, *sides in row.boxes)
    return replace(row, question=new(row.question), title=new(row.title), context=context.text, answers=tuple(answers), boxes=boxes)


def _edited(text: str, words: Mapping[str, str]) -> str:
    return edit(text, _pattern(words), words.__getitem__).text


def _pattern(words: Mapping[str, str], *, capitals: bool = False) -> re.Pattern[str]:
    """The longest first, so that "is not" is not taken for "is"."""
    listed = sorted(map(re.escape, words), key=len, reverse=True)
    first = "(?=[A-Z])" if capitals else ""
    return re.compile(rf"(?<![\w'’-]){first}(?ai:{'|'.join(listed)})(?![\w'’-])")  # a: else a long s would be taken for an s
