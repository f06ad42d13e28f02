"""What the benches of writing share: questions whose passages are remembered once, each then answered in several manners, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.systems.common import SETS, development, grounded
from models.common.metrics import squad
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader, Recalled
from models.reader.windows import Passage
from models.systems.write import Manner, Written, write
from models.training.question_sets import QaRow

LONG = ("medquad", "quac_1k", "doc2dial_val")  # half of their answers have 20 tokens or more
LENGTHS = {"short answers": SETS, "long answers": LONG}


@dataclass(frozen=True, slots=True)
class Asked:
    row: QaRow
    recalled: Recalled


@dataclass(frozen=True, slots=True)
class Cost:
    """Over all questions. f1: of the quoted characters; accepted: tokens a pass of the decoder."""

    f1: float
    tokens_per_second: float
    ms: float  # a question, writing alone
    accepted: float
    cache_bytes: float  # a token

    @classmethod
    def of(cls, asked: Sequence[Asked], written: Sequence[Written]) -> Cost:
        seconds, tokens = sum(one.seconds for one in written), sum(one.tokens for one in written)
        f1 = [squad(one.row.context[said.start : said.end], [answer.text for answer in one.row.answers])[1] if said.passage is not None else 0.0 for one, said in zip(asked, written, strict=True)]
        return cls(sum(f1) / len(f1), tokens / seconds, 1000 * seconds / len(written), tokens / sum(said.tokens / said.accepted for said in written), sum(said.cache_bytes for said in written) / len(written))


def opened(data: Path, each: int) -> tuple[GroundedReader, dict[str, list[Asked]]]:
    """The shipped reader, and the first questions of each set, by LENGTHS."""
    reader = GroundedReader(grounded())
    return reader, {name: [Asked(row, _remembered(reader, row)) for row in development(data, each, sets)] for name, sets in LENGTHS.items()}


def _remembered(reader: GroundedReader, row: QaRow) -> Recalled:
    return reader.remember([row.question], [Passage(row.context, row.title, row.boxes)], [0])


def cost(reader: GroundedReader, asked: Sequence[Asked], manner: Manner, assistant: GroundedForCausalLM | None = None) -> Cost:
    write(reader, asked[0].recalled, manner, assistant)  # the first time is slower
    return Cost.of(asked, [write(reader, one.recalled, manner, assistant) for one in asked])
