"""Plain prose as passages of sentences: the JSONL files of a text folder. Knows nothing of questions, nor of tokens."""

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

PASSAGE = (150, 200)  # words; where between them a passage ends is drawn
STOP = frozenset((
    "a", "about", "above", "after", "again", "all", "along", "also", "although", "always", "am", "among", "an", "and", "another", "any", "are",
    "as", "at", "be", "became", "because", "become", "becomes", "been", "before", "being", "between", "both", "but", "by", "called", "can",
    "case", "could", "did", "do", "does", "during", "each", "either", "even", "every", "few", "first", "for", "from", "further", "had", "has",
    "have", "he", "her", "here", "him", "his", "how", "however", "i", "if", "in", "into", "is", "it", "its", "itself", "just", "known", "last",
    "less", "like", "made", "make", "many", "may", "me", "might", "more", "most", "much", "must", "my", "no", "nor", "not", "now", "of", "off",
    "often", "on", "once", "one", "only", "or", "other", "our", "out", "over", "own", "part", "per", "s", "same", "second", "see", "several",
    "shall", "she", "should", "since", "so", "some", "still", "such", "than", "that", "the", "their", "them", "themselves", "then", "there",
    "therefore", "these", "they", "thing", "this", "those", "three", "through", "thus", "to", "too", "two", "under", "until", "up", "upon", "us",
    "use", "used", "using", "very", "was", "way", "we", "well", "were", "what", "when", "where", "whether", "which", "while", "who", "whom",
    "whose", "why", "will", "with", "within", "without", "would", "yet", "you", "your",
))
_WORD = re.compile(r"[^\W_]+(?:(?:-|[.,:](?=\d))[^\W_]+|[’'](?!s\b)[^\W_]+)*")
_END = re.compile(r"(?<=[.!?])[\"”’')]*\s+(?=[\"“‘(]?[A-Z0-9])|\n+")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|Gen|Col|Capt|Lt|Gov|Sen|Rep|Prof|No|Figs?|vs|ca|al|approx|e\.g|i\.e)\.$")
_LITTER = re.compile(r"\s*(?:\(\)|\[(?:\d+|citation needed)\])")  # where a figure or a note was referred to


@dataclass(frozen=True)
class Sentence:
    """before: the white space between it and the sentence before."""

    text: str
    before: str

    @cached_property
    def words(self) -> list[re.Match[str]]:
        return list(_WORD.finditer(self.text))

    @cached_property
    def content(self) -> frozenset[str]:
        return content(self.text)


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    title: str
    sections: list[tuple[str, list[str]]]  # heading, paragraphs

    def characters(self) -> int:
        return sum(len(paragraph) for _, paragraphs in self.sections for paragraph in paragraphs)


def read_prose(folder: Path) -> list[Document]:
    """The documents of `*.jsonl.gz` but for the glossary, those without text left out.

    Lines are `{"title", "paragraphs"}` or `{"title", "sections": [{"heading", "paragraphs"}]}`. Raises DataError for a file that is
    damaged, or where there is none.
    """
    paths = sorted(path for path in folder.glob("*.jsonl.gz") if path.name != "glossary.jsonl.gz")
    if not paths:
        raise DataError(f"{folder} has no prose (*.jsonl.gz)")
    return [document for path in paths for document in _documents(path) if document.characters()]


def passages(paragraphs: list[str], rng: random.Random) -> Iterator[list[Sentence]]:
    """Consecutive sentences, up to a drawn number of words."""
    passage, words, most = [], 0, rng.randint(*PASSAGE)
    for paragraph in paragraphs:
        for i, text in enumerate(_sentences(paragraph)):
            sentence = Sentence(text, " " if i else "\n")
            if passage and words + len(sentence.words) > most:
                yield passage
                passage, words, most = [], 0, rng.randint(*PASSAGE)
            passage.append(sentence)
            words += len(sentence.words)
    if passage:
        yield passage


def content(text: str) -> frozenset[str]:
    """Its words in lower case, without those that any text has."""
    return frozenset(word for word in map(str.lower, _WORD.findall(text)) if len(word) > 2 and word not in STOP)


def _documents(path: Path) -> Iterator[Document]:
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                parts = record["sections"] if "sections" in record else [{"heading": "", "paragraphs": record["paragraphs"]}]
                sections = [((part["heading"] or "").strip(), [_LITTER.sub("", paragraph) for paragraph in part["paragraphs"]]) for part in parts]
                yield Document(f"{path.name.removesuffix('.jsonl.gz')}-{number}", (record["title"] or "").strip(), sections)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: no prose can be read ({type(error).__name__}: {error})") from error


def _sentences(paragraph: str) -> list[str]:
    ends = [(at.start() + len(at[0].rstrip()), at.end()) for at in _END.finditer(paragraph)]
    ends = [(end, after) for end, after in ends if not _ABBREVIATION.search(paragraph, max(0, end - 10), end)]
    pieces = [paragraph[after:end] for (_, after), (end, _) in pairwise([(0, 0), *ends, (len(paragraph), 0)])]
    return [piece.strip() for piece in pieces if piece.strip()]
