"""Preference tuning: how grounded answers are before and after, sampled and greedy, on development questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.systems.common import Row, development, drawn, grounded
from models.common.metrics import squad
from models.network.grounded import GroundedForCausalLM
from models.systems.constitution import content, unsupported
from models.systems.critique import Critic, Said
from models.systems.prefer import PreferConfig, prefer
from models.training.question_sets import QaRow

LEARNED, MEASURED = 24, 12  # questions of each set
SAMPLES = 2  # of each question
SYSTEM = "preference tuning"


def measure(data: Path) -> Iterator[Row]:
    rows, model, config = development(data, MEASURED), grounded(), PreferConfig(samples=SAMPLES)
    yield from figures(model, rows, "before")
    prefer(model, list(Critic(model, config.samples).look(drawn(data, LEARNED), config.seed)), config)
    yield from figures(model, rows, "after")


def figures(model: GroundedForCausalLM, rows: Sequence[QaRow], when: str) -> Iterator[Row]:
    """`unsupported words`: share of the content words said that stand nowhere in the passage. `citation precision`: share of the answers of which every copied
    token stands in a gold answer. `F1`: of what is cited, from the first copied token to the last; 0 where nothing is said.
    """
    for form, temperature in (("sampled", 1.0), ("greedy", 0.0)):
        found = [(one.row, said) for one in Critic(model, SAMPLES, temperature).look(rows, better=False) for said in one.samples]
        said = [(row, one) for row, one in found if one.answer.words]
        stray = sum(len(unsupported(one.answer.words, one.answer.passage)) for _, one in said)
        yield Row(SYSTEM, f"{form}, {when}", {
            "unsupported words": round(stray / sum(len(content(one.answer.words)) for _, one in said), 4),
            "citation precision": round(sum(precise(row, one) for row, one in said) / len(said), 3),
            "all rules kept": round(sum(not one.broken for _, one in found) / len(found), 3),
            "F1": round(sum(squad(cited(row, one), [answer.text for answer in row.answers])[1] for row, one in found) / len(found), 3),
        })  # fmt: skip


def cited(row: QaRow, said: Said) -> str:
    places = [place for place in said.places if place]
    return row.context[min(begin for begin, _ in places) : max(end for _, end in places)] if places else ""


def precise(row: QaRow, said: Said) -> bool:
    """Whether something is copied, and all of it out of one gold answer."""
    places = [place for place in said.places if place]
    golds = [(answer.start, answer.start + len(answer.text)) for answer in row.answers if answer.start >= 0]
    return bool(places) and any(all(start <= begin and end <= stop for begin, end in places) for start, stop in golds)
