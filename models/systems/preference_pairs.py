"""Preference pairs: of the critiqued answers to a question, one to choose and those to reject for it.

In: questions with critiqued answers (models.systems.critique). Out: pairs of answers, as tokens with the memory of
their question (`Pair`), or as lines to be read. Knows nothing of how a model learns from them (models.systems.dpo).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.common.errors import TrainError

if TYPE_CHECKING:
    from models.network.memory_encoder import Memory
    from models.systems.critique import Critiqued, JudgedAnswer

MAX_REJECTED = 2  # pairs of one question at most, so that no question outweighs the others


@dataclass(frozen=True, slots=True)
class PreferConfig:
    """Settings of preference tuning. Raises TrainError.

    samples: answers drawn for each question, at this temperature. pairs: in a batch. beta: of DPO, how much it costs
    to leave the reference weights. likelihood: weight of the negative log-likelihood of the chosen answer.
    """

    samples: int = 4
    temperature: float = 1.0
    epochs: int = 3
    pairs: int = 16
    learning_rate: float = 1e-4
    beta: float = 0.1
    likelihood: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "epochs", "pairs"):
            if getattr(self, name) < 1:
                raise TrainError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("temperature", "learning_rate", "beta"):
            if getattr(self, name) <= 0:
                raise TrainError(f"{name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Pair:
    """Token ids of `[CLS] question [SEP]` and of two answers, each with its [SEP].

    memory: of the question alone, on the CPU.
    """

    prompt: Sequence[int]
    chosen: Sequence[int]
    rejected: Sequence[int]
    memory: Memory


def preferences(question: Critiqued) -> list[tuple[JudgedAnswer, JudgedAnswer]]:
    """(chosen, rejected) pairs, MAX_REJECTED at most.

    Chosen is the first better answer that breaks no rule. Rejected are the samples that break the most rules, the
    likelier first. Empty where no better answer keeps all rules.
    """
    chosen = next((answer for answer in question.better if not answer.broken), None)
    wrong = {answer.tokens: answer for answer in question.samples if answer.broken}
    worst = sorted(wrong.values(), key=lambda answer: (-len(answer.broken), -answer.log_probability))
    return [(chosen, answer) for answer in worst[:MAX_REJECTED]] if chosen else []


def token_pairs(questions: Iterable[Critiqued]) -> list[Pair]:
    """The pairs that a model is trained on."""
    return [
        Pair(question.prompt, chosen.tokens, rejected.tokens, question.memory)
        for question in questions for chosen, rejected in preferences(question)
    ]  # fmt: skip


def json_lines(questions: Iterable[Critiqued]) -> str:
    """The pairs as JSON, one a line, for people to read."""
    pairs = [
        {
            "id": question.row.id, "question": question.row.question, "chosen": " ".join(chosen.answer.words),
            "rejected": " ".join(rejected.answer.words), "broken": rejected.broken,
        }
        for question in questions for chosen, rejected in preferences(question)
    ]  # fmt: skip
    return "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
