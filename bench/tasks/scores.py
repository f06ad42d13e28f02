"""Filters and scores named in the YAML files of this folder. lm_eval loads the module by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.common.metrics import squad
from models.training.question_sets import last_turn

if TYPE_CHECKING:
    from datasets import Dataset


def answerable(rows: Dataset) -> Dataset:
    """The questions with an answer that is a span of their passage, each with its last turn alone."""

    def has_span(row: Mapping[str, Any]) -> bool:
        return any(answer["start"] >= 0 and answer["text"].strip() for answer in row["answers"] or ())

    return rows.filter(has_span).map(lambda row: {"question": last_turn(row["question"])})


def squad_figures(row: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    exact_match, f1 = squad(results[0], [answer["text"] for answer in row["answers"]])
    return {"exact_match": exact_match, "f1": f1}


def exact(row: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    return {"exact_match": float(_plain(results[0]) == _plain(row["continuation"]))}


def _plain(text: str) -> str:
    """Without case and white space, which the vocabulary has not. Punctuation stays: some answers consist of it."""
    return "".join(text.casefold().split())
