"""Reads what an evaluation asks: a BEIR folder (arXiv 2104.08663), or a file of questions with answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.common.errors import FolioError


class EvaluationError(FolioError):
    """What cannot be evaluated. The message is one line that names the file and what is wrong in it."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`queries` by id; `relevant[query][document]` is a grade, of judged queries only."""

    corpus: Path
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Question:
    """`answers` are all right, `documents` hold them; each may be empty where nobody said. `quote` is the evidence."""

    question: str
    answers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    unanswerable: bool = False
    quote: str = ""


def read_beir(folder: Path, split: str = "test") -> Benchmark:
    """corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv. Raises EvaluationError."""
    corpus = folder / "corpus.jsonl"
    if not corpus.is_file():
        raise EvaluationError(f"{folder} is no BEIR folder: it has no corpus.jsonl")
    texts = {
        _text(record, "_id", where, number=True): _text(record, "text", where)
        for where, record in _records(folder / "queries.jsonl")
    }
    relevant: dict[str, dict[str, int]] = {}
    path = folder / "qrels" / f"{split}.tsv"
    rows = csv.reader(_read(path).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, row in enumerate(rows, start=1):
        if number == 1 and row[:1] == ["query-id"]:
            continue
        try:
            query, document, grade = row[0], row[1], int(row[2])
        except (IndexError, ValueError):
            raise EvaluationError(f"{path}, line {number}: expected query, document, whole number, by tabs") from None
        if query not in texts:
            raise EvaluationError(f"{path}, line {number}: query {query!r} is not in queries.jsonl")
        relevant.setdefault(query, {})[document] = grade
    return Benchmark(corpus, {query: texts[query] for query in relevant}, relevant)


def read_questions(path: Path) -> tuple[Question, ...]:
    """A JSON object per line: question, and perhaps answers, documents, unanswerable, quote. Raises EvaluationError.

    `document` may name one document instead. null and an empty quote count as missing. Other keys are free.
    """
    return tuple(
        Question(
            question=_text(record, "question", where),
            answers=_texts(record, "answers", where),
            documents=_documents(record, where),
            unanswerable=_flag(record, "unanswerable", where),
            quote=_text(record, "quote", where) if record.get("quote") else "",
        )
        for where, record in _records(path)
    )


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    # Not splitlines(): JSON may hold U+2028 as it is.
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError:
            raise EvaluationError(f"{where}: not JSON") from None
        if not isinstance(record, dict):
            raise EvaluationError(f"{where}: not a JSON object")
        yield where, record


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8") from error


def _text(record: dict[str, Any], key: str, where: str, number: bool = False) -> str:
    value = record.get(key)
    if number and type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise EvaluationError(f"{where}: {key!r} must be a text that is not empty")
    return value


def _documents(record: dict[str, Any], where: str) -> tuple[str, ...]:
    if record.get("document"):
        return (_text(record, "document", where),)
    return _texts(record, "documents", where)


def _texts(record: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = record.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise EvaluationError(f"{where}: {key!r} must be a list of texts")
    return tuple(values)


def _flag(record: dict[str, Any], key: str, where: str) -> bool:
    value = record.get(key) or False
    if not isinstance(value, bool):
        raise EvaluationError(f"{where}: {key!r} must be true or false")
    return value
