"""Preference tuning: how grounded sampled and greedy answers to development questions are, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.systems.common import Row, development, drawn, grounded
from models.common.metrics import squad
from models.network.grounded import GroundedForCausalLM
from models.systems.constitution import content, unsupported
from models.systems.critique import Critic, JudgedAnswer
from models.systems.prefer import prefer
from models.systems.preference_pairs import PreferConfig
from models.training.question_sets import QaRow

LEARNED, MEASURED = 24, 12  # questions of each set to train on, and to answer
SAMPLES = 2  # of each question
SYSTEM = "preference tuning"


def measure(data: Path) -> Iterator[Row]:
    rows, model, config = development(data, MEASURED), grounded(), PreferConfig(samples=SAMPLES)
    yield from figures(model, rows, "before")
    prefer(model, list(Critic(model, config.samples).critique(drawn(data, LEARNED), config.seed)), config)
    yield from figures(model, rows, "after")


def figures(model: GroundedForCausalLM, rows: Sequence[QaRow], when: str) -> Iterator[Row]:
    """Four figures of sampled, and of greedy, answers.

    `unsupported words`: share of the content words of answers that their passage does not contain.
    `citation precision`: share of the answers all of whose copied tokens lie in one reference answer.
    `all rules kept`: share of the answers that break no rule. `F1`: of the cited text, from the first copied token to
    the last; 0 for an abstention.
    """
    for form, temperature in (("sampled", 1.0), ("greedy", 0.0)):
        questions = Critic(model, SAMPLES, temperature).critique(rows, better=False)
        answers = [(question.row, answer) for question in questions for answer in question.samples]
        worded = [(row, one) for row, one in answers if one.answer.words]
        stray = sum(len(unsupported(one.answer.words, one.answer.passage)) for _, one in worded)
        f1 = [squad(cited(row, one), [answer.text for answer in row.answers])[1] for row, one in answers]
        yield Row(SYSTEM, f"{form}, {when}", {
            "unsupported words": round(stray / sum(len(content(one.answer.words)) for _, one in worded), 4),
            "citation precision": round(sum(precise(row, one) for row, one in worded) / len(worded), 3),
            "all rules kept": round(sum(not one.broken for _, one in answers) / len(answers), 3),
            "F1": round(sum(f1) / len(f1), 3),
        })  # fmt: skip


def cited(row: QaRow, answer: JudgedAnswer) -> str:
    """The passage from the first copied token of an answer to the last."""
    places = [place for place in answer.places if place]
    return row.context[min(begin for begin, _ in places) : max(end for _, end in places)] if places else ""


def precise(row: QaRow, answer: JudgedAnswer) -> bool:
    """Whether something is copied, and all of it from one reference answer."""
    places = [place for place in answer.places if place]
    golds = [(gold.start, gold.start + len(gold.text)) for gold in row.answers if gold.start >= 0]
    return bool(places) and any(all(start <= begin and end <= stop for begin, end in places) for start, stop in golds)
