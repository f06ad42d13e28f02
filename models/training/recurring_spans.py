"""Reading questions out of plain prose, so that a reader learns from text that nobody has asked about.

What stands in two sentences of a passage is taken out of one, which becomes the question; the other answers it. Recurring spans
are Splinter's (arXiv 2101.00438), questions with a wh-word in the gap are those of arXiv 1906.04980. Knows nothing of tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from models.training.prose import STOP, Document, Sentence, content, passages, read_prose
from models.training.question_sets import QaRow, Span

EACH = 6  # questions of a document at most
ASKED = (8, 40)  # words of a sentence that becomes a question
SHARED = 2  # content words of a question, besides the span, that stand in what is left
LEFT = 40  # words that must be left of a passage
LONGEST = 5  # words of a span
UNANSWERABLE = 0.22  # share of the passages that are to lose every sentence that says it; not all can
MASK = "[MASK]"
JOINED = ("–", "−", "+", "/", "=", "%")
_ODD = re.compile(r"\s[.,;]|[=|]|[^.?!\"”’)]$")  # something is left out, or it is a formula, a table or a heading
_YEAR = re.compile(r"1\d{3}|20\d{2}")
_DETERMINER = re.compile(r"\b(?:the|an?)\s+$", re.IGNORECASE)


def recurring(folder: Path, count: int, seed: int) -> list[QaRow]:
    """At most `count` questions of a text folder, fewer where it gives no more; files have their share by length. The same for a seed.

    Raises DataError as read_prose does.
    """
    rng = random.Random(seed)
    # documents are drawn by length, none twice: the order of exponential variates (Efraimidis and Spirakis, 2006)
    documents = sorted(read_prose(folder), key=lambda document: rng.expovariate(document.characters()))
    questions = (row for document in documents for row in islice(_questions(document, rng), EACH))
    return list(islice(questions, count))


def _questions(document: Document, rng: random.Random) -> Iterator[QaRow]:
    """At most one question of a passage, in an order that is drawn."""
    drawn = [(heading, passage) for heading, paragraphs in document.sections for passage in passages(paragraphs, rng)]
    rng.shuffle(drawn)
    for number, (heading, passage) in enumerate(drawn):
        title = document.title if heading in ("", document.title) else f"{document.title} - {heading}"
        if row := _ask(passage, title, f"recurring-{document.id}-{number}", rng):
            yield row


def _ask(passage: list[Sentence], title: str, name: str, rng: random.Random) -> QaRow | None:
    """A question whose answer the rest of the passage says or, some of the time, no longer says. None where no span will do."""
    hidden, masked = rng.random() < UNANSWERABLE, rng.random() < 0.5
    spans = _spans(passage, title)
    for key in sorted(spans, key=lambda key: rng.expovariate(spans[key])):
        holding = [(one, at) for one in passage if (at := _place(key, one.text))]
        for asked, gap in sorted(holding, key=lambda one: -_shared(one[0], passage, key)):
            question = _question(asked.text, gap, masked)
            kept = [one for one in passage if one is not asked and not (hidden and content(key) & one.content)]
            if len(holding) < 2 or not _is_askable(asked, gap) or key in question.lower() or _shared(asked, kept, key) < SHARED:
                continue
            context = "".join(one.before + one.text for one in kept).strip()
            answers = () if hidden else _answer(context, asked, [one for one in holding if one[0] is not asked], key)
            if sum(len(one.words) for one in kept) >= LEFT and (answers or (hidden and key not in context.lower())):
                return QaRow(name, "recurring", question, context, title, answers, hidden, "extractive")
    return None


def _answer(context: str, asked: Sentence, holding: list[tuple[Sentence, re.Match[str]]], key: str) -> tuple[Span, ...]:
    """Where the span stands in the sentence that shares most with the question; empty where none shares anything."""
    best, at = max(holding, key=lambda one: _shared(asked, [one[0]], key))
    return (Span(at[0], context.index(best.text) + at.start()),) if _shared(asked, [best], key) else ()


def _is_askable(asked: Sentence, gap: re.Match[str]) -> bool:
    """Whether it is a plain sentence, and the gap not half of a name ("New [England]") or of a formula ("Cl–[Cl]")."""
    before, after = asked.text[: gap.start()], asked.text[gap.end() :]
    beside = [word[1] for word in (re.search(r"(\w+) $", before), re.match(r" (\w+)", after)) if word]
    half = gap[0][0].isupper() and any(word[0].isupper() and word.lower() not in STOP for word in beside)
    return ASKED[0] <= len(asked.words) <= ASKED[1] and not (half or before.endswith(JOINED) or after.startswith(JOINED) or _ODD.search(asked.text))


def _spans(passage: list[Sentence], title: str) -> dict[str, int]:
    """Lower-case spans of two sentences or more that are worth asking for, and how much: none that only stands within another."""
    found: dict[str, set[int]] = {}
    named: set[str] = set()
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
    twice = {key: where for key, where in found.items() if len(where) > 1 and len(key) > 2 and f" {key} " not in f" {title.lower()} "}
    worth = {key: len(key.split()) + 2 * (key in named or bool(re.search(r"\d\d", key))) for key in twice}
    within = {key for key in twice for more in twice if key != more and twice[key] == twice[more] and f" {key} " in f" {more} "}
    return {key: weight for key, weight in worth.items() if weight > 1 and key not in within}


def _shared(asked: Sentence, others: list[Sentence], key: str) -> int:
    """How many content words of a sentence, besides the span, stand in others too."""
    return len((asked.content - content(key)) & frozenset().union(*(one.content for one in others if one is not asked)))


def _place(key: str, text: str) -> re.Match[str] | None:
    """Where it stands as whole words. A single word must be spelt as a name or a number there: "the war" is not "Cold War"."""
    at = re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", text, re.IGNORECASE)
    return at if at and at[0].lower() == key and (" " in key or at[0] != key or key[0].isdigit()) else None


def _question(text: str, at: re.Match[str], masked: bool) -> str:
    """The sentence with a gap, or with a wh-word that roughly fits, in the place of the span."""
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
