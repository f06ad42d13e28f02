"""Pairs that teach a decoder to say an answer: a question, its short answer, and the sentence that states it.

Three sources: the human sentences of FeTaQA with their highlighted cells as the answer; clauses of a passage that hold
nothing but the words of a question and its answer; and sentences of prose that are turned into a question by rules for
English auxiliaries and do-support, so that the statement is somebody's own sentence. Knows nothing of tokens.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.training.prose import STOP, content_words, read_prose, sentences_of
from models.training.question_sets import QaRow, read_qa

SPAN_SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "qamr", "qasrl_gs", "covidqa")
# chosen by hand
COVERED = 0.99  # least share of a question's content words that a statement says
WORDS = (4, 20)  # of a statement, fewest and most
PER_PAGE = 4  # inverted sentences of a document at most
LONGEST_SUBJECT = 8  # words
_WORD = re.compile(r"[^\W_]+(?:[-.,:'’](?=[^\W_])[^\W_]+)*")
_AUXILIARIES = "is|are|was|were|has|have|had|can|could|will|would|may|might|must|should"
_AUXILIARY = re.compile(rf"\s({_AUXILIARIES})\s")
_YEAR = re.compile(r"(?:1\d|20)\d\d$")
_PLAIN = re.compile(r"[A-Z][^;:()\[\]\"“”=|ÃâÂ]*[a-z0-9%)]\.$")  # one sentence without an aside
_TAIL = re.compile(r"\s(in|at|on|by|from|for|with|to|into|near|during|of)\s(?=(?:[^,\s]+\s?){1,6}\.$)")
_NUMBER = re.compile(r"\b((?:about|over|nearly|almost|only)\s)?(\d[\d.,]*)\s([a-z]+s)\b")
_STARTS = re.compile(r"(?:The|An?|[A-Z][a-z]+)\b(?!\s+(?:and|or|but)\b)")
_NO_START = re.compile(
    rf"(?:{_AUXILIARIES}|with|where|or|which|who|because|when|as|of|in|on|at|for|from|although|while|if|since|within|"
    r"thanks|then|during|after|before|by|to|under|like|unlike|according|despite|following)\b",
    re.I,
)
_NO_SUBJECT = re.compile(r"\b(?:it|this|that|these|those|they|he|she|there|we|you|i|what|which|who|when|if|as)\b", re.I)
_LOOSE_START = re.compile(r"and|but|which|that|who|because|when|as|of")
PLACES = ("in", "at", "near", "on")


@dataclass(frozen=True, slots=True)
class Statement:
    """answer: the short answer, or the cells that answer as "Header: value; Header: value". text: says it whole."""

    question: str
    answer: str
    text: str
    source: str


def table_statements(path: Path) -> Iterator[Statement]:
    """Those of FeTaQA's file. Raises DataError for a file that is none."""
    read_qa(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield Statement(row["question"], cells(row), row["answers"][0]["text"], row["source"])


def cells(row: dict) -> str:
    """The highlighted cells of a row of FeTaQA, row by row, with their headers and the table's title."""
    table = row["table"]
    by_row: dict[int, list[str]] = {}
    for at, column in row["highlight"]:
        if at < len(table) and column < len(table[at]) and table[at][column] not in ("", "-"):
            name = table[0][column] if column < len(table[0]) else ""
            value = table[at][column]
            by_row.setdefault(at, []).append(value if at == 0 or name in ("", value) else f"{name}: {value}")
    lines = (", ".join(dict.fromkeys(parts)) for _, parts in sorted(by_row.items()))
    return f"{row['title']}. {'; '.join(lines)}"


def clause_statements(rows: list[QaRow]) -> Iterator[Statement]:
    """Clauses that hold a question's words and its answer's, and no other content word."""
    for row in rows:
        answer = row.span
        if answer is None or row.unanswerable or len(answer.text.split()) > 10:
            continue
        sentence, first = _sentence_at(row.context, answer.start)
        asked = _stems(row.question)
        if len(asked) < 2 or asked & {"someon", "someth", "somewher"}:
            continue
        if text := _clause(sentence, answer.start - first, answer.text, asked):
            yield Statement(row.question, answer.text, text, row.source)


def _sentence_at(context: str, at: int) -> tuple[str, int]:
    start = 0
    for sentence in sentences_of(context):
        start = context.find(sentence, start)
        if start <= at < start + len(sentence):
            return sentence, start
    return "", 0


@cache
def _stemmer():
    from snowballstemmer import stemmer

    return stemmer("english")


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(_stemmer().stemWord, content_words(text)))


def _clause(sentence: str, at: int, answer: str, asked: frozenset[str]) -> str:
    """The longest run of words around the answer without a content word of neither question nor answer. "" for none."""
    allowed = asked | _stems(answer)
    words = list(_WORD.finditer(sentence))
    inside = [n for n, word in enumerate(words) if at <= word.start() < at + len(answer)]
    if not inside:
        return ""
    first, last = inside[0], inside[-1]
    while first and _stems(words[first - 1][0]) <= allowed and not _parted(sentence, words, first - 1):
        first -= 1
    while last + 1 < len(words) and _stems(words[last + 1][0]) <= allowed and not _parted(sentence, words, last):
        last += 1
    # no loose function word at either end
    while last > inside[-1] and words[last][0].casefold() in STOP:
        last -= 1
    while first < inside[0] and _LOOSE_START.fullmatch(words[first][0]):
        first += 1
    text = sentence[words[first].start() : words[last].end()]
    whole = first == 0 or re.search(r"(?:,|\bthat|\band)\s$", sentence[: words[first].start()])
    whole = whole and re.match(r"[,.]", sentence[words[last].end() :]) and not _NO_START.match(text)
    enough = WORDS[0] <= last - first + 1 <= WORDS[1]
    covered = len(_stems(text) & asked) >= COVERED * len(asked)
    said = [word[0] for word in words[first : last + 1]]
    verb = any(word.casefold() not in STOP or re.fullmatch(_AUXILIARIES, word) for word in said)
    return text[0].upper() + text[1:] + "." if whole and enough and covered and verb else ""


def _parted(sentence: str, words: list[re.Match[str]], at: int) -> bool:
    return bool(re.search(r"[;:()\[\]|]", sentence[words[at].end() : words[at + 1].start()]))


def inverted_statements(folder: Path, seed: int) -> Iterator[Statement]:
    """Sentences of the prose of a folder with a question that they answer. Raises DataError as read_prose does."""
    rng = random.Random(seed)
    documents = read_prose(folder)
    rng.shuffle(documents)
    for document in documents:
        paragraphs = [text for _, texts in document.sections for text in texts]
        rng.shuffle(paragraphs)
        found = 0
        for sentence in (one for text in paragraphs for one in sentences_of(text)):
            if found < PER_PAGE and (pair := invert(sentence, rng)):
                found += 1
                yield Statement(*pair, sentence, document.title)


def invert(sentence: str, rng: random.Random) -> tuple[str, str] | None:
    """A question that a sentence answers, and the short answer. None where the rules do not fit."""
    if not WORDS[0] <= len(sentence.split()) <= WORDS[1] or not _PLAIN.match(sentence) or not _STARTS.match(sentence):
        return None
    parts = _with_auxiliary(sentence) or _with_do(sentence)
    if parts is None or _NO_START.match(sentence) or sentence.count(",") > 1:
        return None
    subject, auxiliary, rest, plain = parts
    if not 1 <= len(subject.split()) <= LONGEST_SUBJECT or _NO_SUBJECT.search(subject) or "," in subject:
        return None
    verb = subject.split()[-1].casefold()
    if verb.endswith(("ly", "ed")) or verb in ("always", "often", "also", "to", "of") or _verbal(subject):
        return None
    options = [*_of_tail(subject, auxiliary, rest), *_of_number(subject, auxiliary, rest)]
    options.append((f"{'Who' if _person(subject) else 'What'} {plain}?", subject))
    if auxiliary in ("is", "are", "was", "were") and re.match(r"(?:an?|the)\s", rest):
        options.append((f"What {auxiliary} {_lowered(subject)}?", rest))
    return rng.choice(options)


def _with_auxiliary(sentence: str) -> tuple[str, str, str, str] | None:
    found = _AUXILIARY.search(sentence)
    if found is None:
        return None
    subject, rest = sentence[: found.start()], sentence[found.end() : -1]
    if re.search(r"\b\w+ed\b|\bto\b", subject):
        return None
    return subject, found[1], rest, f"{found[1]} {rest}"


def _with_do(sentence: str) -> tuple[str, str, str, str] | None:
    """Of a sentence whose verb is its first word that can be nothing but an inflected verb."""
    from lemminflect import getAllLemmas, getInflection

    words = sentence[:-1].split(" ")
    for at, word in enumerate(words[1 : LONGEST_SUBJECT + 1], 1):
        lemmas = getAllLemmas(word)
        if "VERB" not in lemmas or word[:1].isupper():
            continue
        base = lemmas["VERB"][0]
        past, third = base != word and word in getInflection(base, "VBD"), word in getInflection(base, "VBZ")
        if len(lemmas) > 1 and not (past and "ADJ" in lemmas and len(lemmas) == 2):
            continue
        if not (past or third) or base in ("be", "have", "do"):
            return None
        rest = " ".join(words[at + 1 :])
        return " ".join(words[:at]), "did" if past else "does", f"{base} {rest}", f"{word} {rest}"
    return None


def _of_tail(subject: str, auxiliary: str, rest: str) -> Iterator[tuple[str, str]]:
    """Of what follows the last preposition: when, where, or with the preposition itself."""
    found = _TAIL.search(f" {rest}.")
    if found is None or found.start() < 2:
        return
    before, tail = rest[: found.start() - 1].strip(), rest[found.end() - 1 :]
    stem = f"{auxiliary} {_lowered(subject)} {before}"
    if not before or before.endswith((" and", " or", ",", " the", " of")):
        return
    if _YEAR.search(tail):
        yield f"When {stem}?", tail if found[1] == "in" else f"{found[1]} {tail}"
        yield f"In what year {stem}?", tail
    elif found[1] in PLACES and tail[:1].isupper():
        yield f"Where {stem}?", f"{found[1]} {tail}"
    else:
        person = found[1] == "by" and re.match(r"[A-Z][a-z]+ [A-Z]", tail)
        yield f"{'Who' if person else 'What'} {stem} {found[1]}?", tail


def _of_number(subject: str, auxiliary: str, rest: str) -> Iterator[tuple[str, str]]:
    found = _NUMBER.search(rest)
    if found is None or _YEAR.fullmatch(found[2]):
        return
    left = f"{rest[: found.start()]}{rest[found.end() :]}".strip()
    yield f"How many {found[3]} {auxiliary} {_lowered(subject)} {left}?".replace("  ", " "), found[0]


def _verbal(subject: str) -> bool:
    """Whether a subject seems to hold a verb of its own."""
    from lemminflect import getAllLemmas

    return any("VERB" in (lemmas := getAllLemmas(word)) and len(lemmas) == 1 for word in subject.split()[1:])


def _lowered(subject: str) -> str:
    return re.sub(r"^(?:The|An?|Its?|Their|Most|Many|Some|All|Each|Every)\b", lambda word: word[0].lower(), subject)


def _person(subject: str) -> bool:
    return bool(re.fullmatch(r"[A-Z][a-z]+(?: [A-Z][a-z.]+)+", subject))
