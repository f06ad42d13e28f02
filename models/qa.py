"""Question sets with their passages: the JSONL rows that training and evaluation read.

A row is `{"id", "source", "question", "context", "title", "answers": [{"text", "start"}], "unanswerable", "kind"}`, where `start` is
a character offset into `context`, or -1 for an answer that is no span of it. Knows nothing of tokens.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DataError

KINDS = ("extractive", "table", "freeform", "boolean")
# the sets whose questions stand for themselves, so that a retriever can be asked them
ANSWERED_SETS = (
    "squad2_dev", "squad11_dev_rest", "qed_nq", "covidqa", "fairytaleqa", "policyqa", "doc2dial_val", "wtq", "tatqa", "fetaqa",
    "medquad", "boolq_dev", "pubmedqa", "condaqa",
)


@dataclass(frozen=True, slots=True)
class Span:
    """An answer: `context[start : start + len(text)] == text`, or start -1 for free text."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QaRow:
    id: str
    source: str
    question: str
    context: str
    title: str
    answers: tuple[Span, ...]
    unanswerable: bool
    kind: str

    @property
    def span(self) -> Span | None:
        """The first answer that is a span of the context."""
        return next((answer for answer in self.answers if answer.start >= 0 and answer.text.strip()), None)


def read_qa(path: Path) -> list[QaRow]:
    """The rows of a JSONL file, gzipped or not. Raises DataError for a file or a line that is none."""
    opened = gzip.open if path.suffix == ".gz" else open
    rows = []
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows.append(_row(json.loads(line), f"{path}, line {number}"))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {len(rows) + 1}: not JSON") from error
    return rows


def _row(record: Any, where: str) -> QaRow:
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object")
    try:
        answers = tuple(Span(answer["text"], answer.get("start", -1)) for answer in record.get("answers", ()))
        question, context = _last_turn(record["question"]), record["context"]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where}: needs question, context and answers with a text ({error})") from error
    for answer in answers:
        if answer.start >= 0 and context[answer.start : answer.start + len(answer.text)] != answer.text:
            raise DataError(f"{where}: the answer {answer.text[:40]!r} does not stand at {answer.start}")
    unanswerable = bool(record.get("unanswerable", False))
    return QaRow(
        str(record.get("id", where)), record.get("source", ""), question, context, record.get("title") or "",
        () if unanswerable else answers, unanswerable, record.get("kind", "extractive"),
    )


def _last_turn(question: str) -> str:
    """The last thing that the user said, where a question is written as a dialogue of `user:` and `agent:` turns."""
    return question.rpartition("user:")[2].strip() or question
