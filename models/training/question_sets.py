"""Question sets with their passages: reads the JSONL files that training and evaluation take.

A row is `{"id", "source", "question", "context", "title", "answers": [{"text", "start"}], "unanswerable", "kind"}`,
where `start` is a character offset into `context`, or -1 for an answer that is no span of it. Knows nothing of tokens.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.common.errors import DataError
from models.reader.coordinates import WordBox

KINDS = ("extractive", "table", "freeform", "boolean")
# the sets whose questions can be understood without their passage, so that a retriever can be asked them
STANDALONE_SETS = (
    "squad2_dev", "squad11_dev_rest", "qed_nq", "covidqa", "fairytaleqa", "policyqa", "doc2dial_val", "wtq", "tatqa",
    "fetaqa", "medquad", "boolq_dev", "pubmedqa", "condaqa",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """An answer: `context[start : start + len(text)] == text`, or start -1 for free text."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QaRow:
    """A question with its passage. kind: one of KINDS. boxes: of the words of a passage that was read off a page."""

    id: str
    source: str
    question: str
    context: str
    title: str
    answers: tuple[Span, ...]
    unanswerable: bool
    kind: str
    boxes: tuple[WordBox, ...] = ()

    @property
    def span(self) -> Span | None:
        """The first answer that is a span of the context."""
        return next((answer for answer in self.answers if answer.start >= 0 and answer.text.strip()), None)


def read_qa(path: Path) -> list[QaRow]:
    """The rows of a JSONL file, gzipped or not. Raises DataError for a file or a line that is not one."""
    opened = gzip.open if path.suffix == ".gz" else open
    rows, number = [], 0
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows.append(_row(json.loads(line), f"{path}, line {number}"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: not JSON") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read beyond line {number}: {error}") from error
    return rows


def _row(record: Any, where: str) -> QaRow:
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object")
    try:
        answers = tuple(Span(answer["text"], answer.get("start", -1)) for answer in record.get("answers", ()))
        question, context, title = record["question"], record["context"], record.get("title") or ""
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where}: needs question, context and answers with a text ({error})") from error
    if not all(isinstance(text, str) for text in (question, context, title, *(answer.text for answer in answers))):
        raise DataError(f"{where}: question, context, title and the text of an answer must be strings")
    if (kind := record.get("kind", "extractive")) not in KINDS:
        raise DataError(f"{where}: kind is {kind!r}, none of {', '.join(KINDS)}")
    for answer in answers:
        if answer.start != -1 and not _is_span(answer, context):
            raise DataError(f"{where}: the answer {answer.text[:40]!r} does not stand at {answer.start}")
    unanswerable = bool(record.get("unanswerable", False))
    return QaRow(
        str(record.get("id", where)), record.get("source", ""), last_turn(question), context, title,
        () if unanswerable else answers, unanswerable, kind, tuple(map(_box, record.get("boxes") or ())),
    )


def _box(values: Any) -> WordBox:
    start, end, *sides = values
    left, top, right, bottom = map(float, sides)
    return int(start), int(end), left, top, right, bottom


def _is_span(answer: Span, context: str) -> bool:
    return isinstance(answer.start, int) and answer.start >= 0 and context.startswith(answer.text, answer.start)


def last_turn(question: str) -> str:
    """The last turn of the user, where a question is a dialogue: `user:` and `agent:` turns separated by tabs."""
    turns = [turn.removeprefix("user:").strip() for turn in question.split("\t") if turn.startswith("user:")]
    return next((turn for turn in reversed(turns) if turn), question)
