"""Cloze questions generated from prose, so that a reader learns from text without questions.

A span that recurs in two sentences of a passage is taken out of one, which becomes the question; the other answers it.
Recurring spans are after Splinter (arXiv 2101.00438), questions with a wh-word in the gap after Lewis et al. (arXiv
1906.04980). Knows nothing of tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from models.training.prose import STOP, Document, Sentence, content_words, passages, read_prose
from models.training.question_sets import QaRow, Span

# chosen by hand
PER_DOCUMENT = 6  # questions of a document at most
ASKED = (8, 40)  # words of a sentence that becomes a question, fewest and most
SHARED = 2  # content words of a question, besides the span, that the remaining passage must have
REMAINING = 40  # words that must remain of a passage
LONGEST = 5  # words of a span
UNANSWERABLE = 0.22  # share of the passages from which every sentence with the span is removed, where it can be
MASK = "[MASK]"
JOINED = ("–", "−", "+", "/", "=", "%")  # next to a gap: it would cut a formula
_ODD = re.compile(r"\s[.,;]|[=|]|[^.?!\"”’)]$")  # with an omission, or a formula, a table or a heading
_YEAR = re.compile(r"1\d{3}|20\d{2}")
_DETERMINER = re.compile(r"\b(?:the|an?)\s+$", re.IGNORECASE)


def recurring(folder: Path, count: int, seed: int) -> list[QaRow]:
    """At most `count` questions of a text folder, from documents drawn by their length. Deterministic with a seed.

    Raises DataError as read_prose does.
    """
    rng = random.Random(seed)
    # weighted sampling without replacement: the order of exponential variates (Efraimidis and Spirakis, 2006)
    documents = sorted(read_prose(folder), key=lambda document: rng.expovariate(document.characters()))
    questions = (row for document in documents for row in islice(_questions(document, rng), PER_DOCUMENT))
    return list(islice(questions, count))


def _questions(document: Document, rng: random.Random) -> Iterator[QaRow]:
    """At most one question of each passage, in random order."""
    drawn = [
        (heading, passage) for heading, paragraphs in document.sections for passage in passages(paragraphs, rng)
    ]
    rng.shuffle(drawn)
    for number, (heading, passage) in enumerate(drawn):
        title = document.title if heading in ("", document.title) else f"{document.title} - {heading}"
        if row := _ask(passage, title, f"recurring-{document.id}-{number}", rng):
            yield row


def _ask(passage: list[Sentence], title: str, name: str, rng: random.Random) -> QaRow | None:
    """A question that the rest of the passage answers or, if unanswerable, no longer answers.

    None where no span will do.
    """
    unanswerable, masked = rng.random() < UNANSWERABLE, rng.random() < 0.5
    spans = _spans(passage, title)
    for span in sorted(spans, key=lambda span: rng.expovariate(spans[span])):
        holding = [(one, at) for one in passage if (at := _place(span, one.text))]
        if len(holding) < 2:
            continue
        for asked, gap in sorted(holding, key=lambda one: -_shared(one[0], passage, span)):
            rest = [one for one in passage if one is not asked]
            if unanswerable:
                rest = [one for one in rest if not content_words(span) & one.content]
            question = _question(asked.text, gap, masked)
            if not _is_askable(asked, gap) or span in question.lower() or _shared(asked, rest, span) < SHARED:
                continue
            if sum(len(one.words) for one in rest) < REMAINING:
                continue
            context = "".join(one.before + one.text for one in rest).strip()
            others = [one for one in holding if one[0] is not asked]
            answers = () if unanswerable else _answer(context, asked, others, span)
            if answers or (unanswerable and span not in context.lower()):
                return QaRow(name, "recurring", question, context, title, answers, unanswerable, "extractive")
    return None


def _answer(
    context: str, asked: Sentence, holding: list[tuple[Sentence, re.Match[str]]], span: str
) -> tuple[Span, ...]:
    """The span in the sentence that shares most words with the question; empty where none shares any."""
    best, at = max(holding, key=lambda one: _shared(asked, [one[0]], span))
    return (Span(at[0], context.index(best.text) + at.start()),) if _shared(asked, [best], span) else ()


def _is_askable(asked: Sentence, gap: re.Match[str]) -> bool:
    """Whether it is a plain sentence, and the gap not half of a name ("New [England]") or of a formula ("Cl–[Cl]")."""
    before, after = asked.text[: gap.start()], asked.text[gap.end() :]
    beside = [word[1] for word in (re.search(r"(\w+) $", before), re.match(r" (\w+)", after)) if word]
    half_name = gap[0][0].isupper() and any(word[0].isupper() and word.lower() not in STOP for word in beside)
    half_formula = before.endswith(JOINED) or after.startswith(JOINED)
    plain = ASKED[0] <= len(asked.words) <= ASKED[1] and not _ODD.search(asked.text)
    return plain and not half_name and not half_formula


def _spans(passage: list[Sentence], title: str) -> dict[str, int]:
    """Lower-case spans that recur in the passage -> their weight in the draw.

    Left out are spans that only occur within a longer recurring one, and those of the title.
    """
    found: dict[str, set[int]] = {}  # span -> numbers of its sentences
    named: set[str] = set()  # spans with a capital letter
    for number, sentence in enumerate(passage):
        words, text = sentence.words, sentence.text
        for first in range(len(words)):
            for last in range(first, min(first + LONGEST, len(words))):
                if last > first and text[words[last - 1].end() : words[last].start()] not in (" ", "’", "'"):
                    break
                span = [word[0] for word in words[first : last + 1]]
                name = any(word[0].isupper() and word.lower() not in STOP for word in (span if first else span[1:]))
                if span[0].lower() in STOP or span[-1].lower() in STOP or (not name and not STOP.isdisjoint(span)):
                    continue
                key = text[words[first].start() : words[last].end()].lower()
                found.setdefault(key, set()).add(number)
                if name:
                    named.add(key)
    twice = {key: where for key, where in found.items() if len(where) > 1 and len(key) > 2}
    twice = {key: where for key, where in twice.items() if f" {key} " not in f" {title.lower()} "}
    worth = {key: len(key.split()) + 2 * (key in named or bool(re.search(r"\d\d", key))) for key in twice}
    within = {
        key for key in twice for longer in twice
        if key != longer and twice[key] == twice[longer] and f" {key} " in f" {longer} "
    }  # fmt: skip
    return {key: weight for key, weight in worth.items() if weight > 1 and key not in within}


def _shared(asked: Sentence, others: list[Sentence], span: str) -> int:
    """How many content words of a sentence, besides the span, occur in others."""
    elsewhere = frozenset().union(*(one.content for one in others if one is not asked))
    return len((asked.content - content_words(span)) & elsewhere)


def _place(span: str, text: str) -> re.Match[str] | None:
    """The first occurrence as whole words.

    A single word must be spelt as a name or a number: "the war" is not "Cold War".
    """
    at = re.search(rf"(?<![\w-]){re.escape(span)}(?![\w-])", text, re.IGNORECASE)
    return at if at and at[0].lower() == span and (" " in span or at[0] != span or span[0].isdigit()) else None


def _question(text: str, at: re.Match[str], masked: bool) -> str:
    """The sentence with MASK, or with a wh-word that roughly fits, in the place of the span."""
    if masked:
        return (text[: at.start()] + MASK + text[at.end() :]).removeprefix("- ")
    before = _DETERMINER.sub("", text[: at.start()])
    names = at[0].split()
    if at[0].replace(",", "").isdigit():
        word = "which year" if _YEAR.fullmatch(at[0]) else "which number"
    elif len(names) == 2 and all(name[0].isupper() for name in names) and len(before) == at.start():
        word = "who"
    else:
        word = "what"
    return (before + (word if before else word.capitalize()) + text[at.end() :]).removeprefix("- ").rstrip(" .?") + "?"
