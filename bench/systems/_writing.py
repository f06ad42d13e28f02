"""Shared by the benches of decoding: questions whose passages are encoded once, each answered in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.systems.common import SETS, development, grounded
from models.common.metrics import squad
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader, Recalled
from models.reader.windows import Passage
from models.systems.write import Decoding, Written, write
from models.training.question_sets import QaRow

LONG = ("medquad", "quac_1k", "doc2dial_val")  # half of their answers have 20 tokens or more
LENGTHS = {"short answers": SETS, "long answers": LONG}


@dataclass(frozen=True, slots=True)
class Question:
    row: QaRow
    recalled: Recalled


@dataclass(frozen=True, slots=True)
class Cost:
    """Over all questions. f1: of the quoted characters. accepted: tokens for each pass of the decoder."""

    f1: float
    tokens_per_second: float
    ms: float  # for each question, of generating alone
    accepted: float
    cache_bytes: float  # for each token

    @classmethod
    def of(cls, questions: Sequence[Question], answers: Sequence[Written]) -> Cost:
        seconds, tokens = sum(one.seconds for one in answers), sum(one.tokens for one in answers)
        f1 = [_f1(question.row, answer) for question, answer in zip(questions, answers, strict=True)]
        passes = sum(one.tokens / one.accepted for one in answers)
        cache_bytes = sum(one.cache_bytes for one in answers) / len(answers)
        return cls(sum(f1) / len(f1), tokens / seconds, 1000 * seconds / len(answers), tokens / passes, cache_bytes)


def _f1(row: QaRow, answer: Written) -> float:
    if answer.passage is None:
        return 0.0
    return squad(row.context[answer.start : answer.end], [gold.text for gold in row.answers])[1]


def opened(data: Path, each: int) -> tuple[GroundedReader, dict[str, list[Question]]]:
    """The shipped reader, and the first `each` questions of each set, by LENGTHS."""
    reader = GroundedReader(grounded())

    def question(row: QaRow) -> Question:
        return Question(row, reader.remember([row.question], [Passage(row.context, row.title, row.boxes)], [0]))

    return reader, {name: [question(row) for row in development(data, each, sets)] for name, sets in LENGTHS.items()}


def cost(
    reader: GroundedReader, questions: Sequence[Question], decoding: Decoding,
    assistant: GroundedForCausalLM | None = None,
) -> Cost:  # fmt: skip
    write(reader, questions[0].recalled, decoding, assistant)  # the first time is slower
    return Cost.of(questions, [write(reader, one.recalled, decoding, assistant) for one in questions])
