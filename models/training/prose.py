"""Prose as passages of sentences: reads the JSONL files of a text folder. Knows nothing of questions, nor of tokens."""

from __future__ import annotations

import gzip
import json
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from models.common.errors import DataError

PASSAGE = (150, 200)  # words of a passage, drawn between these: about those of a chunk
# English function words, and words that any text has
_STOP = """
    a about above after again all along also although always am among an and another any are as at be became because
    become becomes been before being between both but by called can case could did do does during each either even
    every few first for from further had has have he her here him his how however i if in into is it its itself just
    known last less like made make many may me might more most much must my no nor not now of off often on once one
    only or other our out over own part per s same second see several shall she should since so some still such than
    that the their them themselves then there therefore these they thing this those three through thus to too two
    under until up upon us use used using very was way we well were what when where whether which while who whom
    whose why will with within without would yet you your
"""
STOP = frozenset(_STOP.split())
_WORD = re.compile(r"[^\W_]+(?:(?:-|[.,:](?=\d))[^\W_]+|[’'](?!s\b)[^\W_]+)*")
_END = re.compile(r"(?<=[.!?])[\"”’')]*\s+(?=[\"“‘(]?[A-Z0-9])|\n+")
_ABBREVIATION = re.compile(
    r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|Gen|Col|Capt|Lt|Gov|Sen|Rep|Prof|No|Figs?|vs|ca|al|approx|e\.g|i\.e)\.$"
)
_ABBREVIATION_LENGTH = 10  # characters before a sentence's end in which one is looked for
_EMPTY_REFERENCE = re.compile(r"\s*(?:\(\)|\[(?:\d+|citation needed)\])")  # left of a reference to a figure or a note


@dataclass(frozen=True)
class Sentence:
    """before: the white space between the previous sentence and this one."""

    text: str
    before: str

    @cached_property
    def words(self) -> list[re.Match[str]]:
        return list(_WORD.finditer(self.text))

    @cached_property
    def content(self) -> frozenset[str]:
        return content_words(self.text)


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    title: str
    sections: list[tuple[str, list[str]]]  # heading, paragraphs

    def characters(self) -> int:
        return sum(len(paragraph) for _, paragraphs in self.sections for paragraph in paragraphs)


def read_prose(folder: Path) -> list[Document]:
    """The documents with text of `*.jsonl.gz`, but for the glossary.

    Lines are `{"title", "paragraphs"}` or `{"title", "sections": [{"heading", "paragraphs"}]}`. Raises DataError where
    a file is damaged, or there is none.
    """
    paths = sorted(path for path in folder.glob("*.jsonl.gz") if path.name != "glossary.jsonl.gz")
    if not paths:
        raise DataError(f"{folder} has no prose (*.jsonl.gz)")
    return [document for path in paths for document in _documents(path) if document.characters()]


def passages(paragraphs: list[str], rng: random.Random) -> Iterator[list[Sentence]]:
    """Consecutive sentences, up to a random number of words (PASSAGE)."""
    passage, words, most = [], 0, rng.randint(*PASSAGE)
    for paragraph in paragraphs:
        for i, text in enumerate(sentences_of(paragraph)):
            sentence = Sentence(text, " " if i else "\n")
            if passage and words + len(sentence.words) > most:
                yield passage
                passage, words, most = [], 0, rng.randint(*PASSAGE)
            passage.append(sentence)
            words += len(sentence.words)
    if passage:
        yield passage


def content_words(text: str) -> frozenset[str]:
    """Its words of three letters or more in lower case, without STOP."""
    return frozenset(word for word in map(str.lower, _WORD.findall(text)) if len(word) > 2 and word not in STOP)


def _documents(path: Path) -> Iterator[Document]:
    name, number = path.name.removesuffix(".jsonl.gz"), 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield _document(json.loads(line), f"{name}-{number}")
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: no prose can be read ({type(error).__name__}: {error})") from error


def _document(record: dict, name: str) -> Document:
    parts = record["sections"] if "sections" in record else [{"heading": "", "paragraphs": record["paragraphs"]}]
    sections = []
    for part in parts:
        paragraphs = [_EMPTY_REFERENCE.sub("", paragraph) for paragraph in part["paragraphs"]]
        sections.append(((part["heading"] or "").strip(), paragraphs))
    return Document(name, (record["title"] or "").strip(), sections)


def sentences_of(paragraph: str) -> list[str]:
    ends = [(at.start() + len(at[0].rstrip()), at.end()) for at in _END.finditer(paragraph)]
    ends = [
        (end, after) for end, after in ends
        if not _ABBREVIATION.search(paragraph, max(0, end - _ABBREVIATION_LENGTH), end)
    ]  # fmt: skip
    pieces = [paragraph[after:end] for (_, after), (end, _) in pairwise([(0, 0), *ends, (len(paragraph), 0)])]
    return [piece.strip() for piece in pieces if piece.strip()]
