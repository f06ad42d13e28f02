"""The words that a strict statement may be made of: those of the question in all their forms, and function words."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

# A possessive is neither of its word nor one of its own
WORD = re.compile(r"(?!(?<=['’])s\b)[^\W_]+(?:[-.,:/’'&+](?!s\b)(?=[^\W_])[^\W_]+)*[%°]?")
_FORMED = re.compile(r"[a-z]{3,}")  # has other forms; names and numbers have none
_ASKED_FOR = re.compile(r"\b(?:how|what|which|whose)\s+([^\W_]+)", re.I)  # "how wide", "what colour"


@cache
def _lists() -> dict[str, frozenset[str]]:
    read = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
    return {name: frozenset(words.split()) for name, words in read.items()}


def is_free(word: str) -> bool:
    """Whether a word may stand in any statement."""
    return word.casefold() in _lists()["function"] | _lists()["answering"]


def content_words(text: str) -> list[str]:
    """The words of a text that are neither free nor asking, in order, with repetitions."""
    other = _lists()["asking"] | _lists()["speaking"]
    return [word for word in WORD.findall(text) if not is_free(word) and word.casefold() not in other]


@cache
def forms(word: str) -> frozenset[str]:
    """A word, and where it is a verb or a common noun its inflections and its base form."""
    if not _FORMED.fullmatch(word):
        return frozenset({word})
    from lemminflect import getAllInflections, getAllLemmas

    found = {word}
    for part, lemmas in getAllLemmas(word).items():
        if part in ("VERB", "NOUN"):
            for lemma in lemmas:
                found.update(form for forms in getAllInflections(lemma, part).values() for form in forms)
    return frozenset(found)


def allowed_words(question: str) -> frozenset[str]:
    """The words of a strict statement that answers the question, those of the answer apart, as within a sentence."""
    found = set(_lists()["function"] | _lists()["answering"])
    for at, word in enumerate(WORD.findall(question)):
        if word.casefold() not in _lists()["asking"]:
            found |= forms(word)
            if at == 0 or word.isupper():  # written large for its place, or a question in capitals
                found |= forms(word.casefold())
    return frozenset(found)


def unsaid(question: str, statement: str) -> list[str]:
    """The content words of a question of which a statement says no form; a word that only asks for a measure or a kind
    ("how wide", "what colour") may stay unsaid.
    """
    said = {word.casefold() for word in WORD.findall(statement)}
    asked_for = {match[1].casefold() for match in _ASKED_FOR.finditer(question)}
    asked = (word for word in content_words(question) if word.casefold() not in asked_for)
    return [word for word in asked if not _folded(word) & said]


def unsupported(statement: str, *sources: str) -> list[str]:
    """The content words of a statement of which no form is in the sources."""
    known = {form for source in sources for word in WORD.findall(source) for form in _folded(word)}
    return [word for word in content_words(statement) if not _folded(word) & known]


def as_written(question: str, evidence: str) -> str:
    """The question with its names in the capitals that they have within a sentence of the evidence."""
    names = {word[0].casefold(): word[0] for word in re.finditer(r"(?<=[a-z,] )[A-Z][^\W_]+", evidence)}
    for word in re.findall(r"\b[a-z][^\W_]+", evidence):
        names.pop(word, None)  # a word that the evidence writes small as well
    return WORD.sub(lambda word: names.get(word[0], word[0]), question)


def _folded(word: str) -> frozenset[str]:
    return frozenset(form.casefold() for form in forms(word.casefold()))
