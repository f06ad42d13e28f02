"""Reads back the arrays of models.training.prepare_data, with the tokens of each part instead of their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from models.common import base_encoder
from models.training.batches import Examples
from models.training.training_sets import SETS

TOKENIZER = Tokenizer.from_file(str(base_encoder.folder() / "tokenizer.json"))
TOKENIZER.no_padding()
TOKENIZER.no_truncation()


def tokens(text: str) -> tuple[int, ...]:
    return tuple(TOKENIZER.encode(text, add_special_tokens=False).ids)


@dataclass(frozen=True, slots=True)
class Shown:
    """An example. `answer`: the tokens that it marks in its context, None where it marks none."""

    set: str
    question: tuple[int, ...]
    title: tuple[int, ...]
    context: tuple[int, ...]
    answer: tuple[int, ...] | None
    answerable: bool
    evidence: int


def shown(folder: Path, split: str = "examples") -> list[Shown]:
    examples = Examples(folder, split)
    return [_shown(examples.tokens, row) for row in examples.rows]


def _shown(array: Sequence[int], row: dict) -> Shown:
    def part(name: str) -> tuple[int, ...]:
        return tuple(int(token) for token in array[int(row[name]) : int(row[name]) + int(row[f"{name}_length"])])

    context, start = part("context"), int(row["start"])
    answer = None if start < 0 else context[start : int(row["end"]) + 1]
    return Shown(
        SETS[row["set"]], part("question"), part("title"), context, answer, row["answerable"] == 1, int(row["evidence"])
    )
