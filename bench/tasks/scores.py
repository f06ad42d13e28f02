"""What the YAML files beside this count. lm_eval loads it by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.common.metrics import squad
from models.training.question_sets import last_turn

if TYPE_CHECKING:
    from datasets import Dataset


def answerable(rows: Dataset) -> Dataset:
    """Questions with an answer that stands in their passage."""
    found = rows.filter(lambda row: any(answer["start"] >= 0 and answer["text"].strip() for answer in row["answers"] or ()))
    return found.map(lambda row: {"question": last_turn(row["question"])})


def squad_figures(row: Mapping[str, Any], said: Sequence[str]) -> dict[str, float]:
    return dict(zip(("exact_match", "f1"), squad(said[0], [answer["text"] for answer in row["answers"]]), strict=True))


def exact(row: Mapping[str, Any], said: Sequence[str]) -> dict[str, float]:
    return {"exact_match": float(_plain(said[0]) == _plain(row["continuation"]))}


def _plain(text: str) -> str:
    """Without case and blanks: the vocabulary knows neither. Signs stay, of which some tasks' answers are made."""
    return "".join(text.casefold().split())
