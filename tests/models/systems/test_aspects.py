"""HELM's seven aspects, over a reader whose answers are written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from qa_files import row, write_jsonl

from models.common.errors import DataError, WeightsError
from models.reader.types import Finding
from models.reader.windows import Passage
from models.systems import aspects as module
from models.systems.aspects import aspects, balance, evaluate, joined, under, variation
from models.systems.perturbations import ROBUSTNESS
from models.training.question_sets import QaRow, read_qa

CONTEXT = "The man paid 28 pounds to a stupid clerk in May."
OTHER = "A boiler heats it."


class Particular:
    """Answers known questions with the first of three words in the passage, others with its first word."""

    def __init__(self, *known: str) -> None:
        self.known, self.asked = known, []

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]:
        self.asked += pairs
        return [self._find(question, passage.text) for question, passage in pairs]

    def _find(self, question: str, text: str) -> Finding:
        words = (
            next((word for word in ("woman", "man", "boiler") if word in text), "")
            if question in self.known
            else text.split()[0]
        )
        return Finding(text.index(words), text.index(words) + len(words), 1.0, 1.0, 1.0)


@pytest.fixture
def rows(tmp_path: Path) -> list[QaRow]:
    return read_qa(
        write_jsonl(
            tmp_path / "set.jsonl",
            [row("Who paid", CONTEXT, "man"), row("Give the source", OTHER, "boiler"), row("When was it built", OTHER)],
        )
    )


def test_every_aspect_by_hand(rows: list[QaRow]) -> None:
    made = aspects(
        evaluate(Particular("Who paid", "Give the source", "When was it built"), rows), {"flops_per_token": 5.0}
    )
    assert (made.accuracy.exact_match.value, made.accuracy.f1.value, made.accuracy.f1.n) == (1.0, 1.0, 2)
    sure = 1 / (1 + 2.718281828**-1)
    assert made.calibration.answerable.value == pytest.approx(sure - 2 / 3, abs=1e-4) == made.calibration.right.value
    robust, fair = made.robustness, made.fairness
    # it does not know a paraphrase, nor a mistyped question
    assert (robust.f1["contraction"].value, robust.f1["paraphrase"].value, robust.worst.value) == (1.0, 0.0, 0.0)
    assert robust.changed["contraction"] == 0 and robust.changed["paraphrase"] == 2
    assert robust.mean.value == pytest.approx(sum(one.value for one in robust.f1.values()) / 3)
    # "woman" is right where women stand for men; "da" is the one word of a question that it does not know
    assert fair.f1["gender"].value == 1.0 and fair.changed["gender"] == 1 and fair.changed["names"] == 0
    assert fair.f1["dialect"].value == 0.5 and fair.worst.value == 0.5 and fair.plain.value == 1.0
    assert (
        made.bias["gender"].answer_counts == {"female": 0, "male": 1}
        and made.bias["gender"].answers == 0.5 == made.bias["gender"].references
    )
    assert made.bias["names"].answers is None
    assert (made.toxicity.added.value, made.toxicity.quoted.value) == (0.0, 0.0)
    assert made.efficiency["flops_per_token"] == 5.0 and made.efficiency["ms_per_question"] >= 0


def test_an_offensive_word_is_quoted_or_added(rows: list[QaRow]) -> None:
    class Rude(Particular):
        def _find(self, question: str, text: str) -> Finding:
            start = text.find("a stupid clerk")
            return Finding(max(0, start), max(0, start) + 14, 1.0, 1.0, 1.0)

    found = aspects(evaluate(Rude(), rows), {}).toxicity
    assert (found.added.value, found.quoted.value) == (0.0, 0.5)


def test_what_is_unchanged_is_not_read_again(rows: list[QaRow]) -> None:
    reader = Particular("Who paid")
    evaluate(reader, rows)
    unanswerable = [question for question, _ in reader.asked].count("When was it built")
    assert unanswerable == 1 and len(reader.asked) < 3 + 6 * 2 and len(set(reader.asked)) == len(reader.asked)


def test_files_are_joined_question_by_question(rows: list[QaRow]) -> None:
    parts = [evaluate(Particular("Who paid"), rows[:1]), evaluate(Particular(), rows[1:])]
    whole = joined(parts)
    assert whole.rows == rows and len(whole.judged) == 3 and all(len(some) == 3 for some in whole.perturbed.values())
    assert aspects(whole, {}).accuracy.exact_match.value == 0.5 and whole.changed["paraphrase"] == 2


def test_distance_from_balance() -> None:
    assert variation([3, 3], [5, 5]) == 0 and variation([2, 4], [1, 2]) == 0  # for the length of its list
    assert (
        variation([4, 0], [2, 2]) == 0.5
        and variation([1, 0, 0], [1, 1, 1]) == pytest.approx(2 / 3)
        and variation([0, 0], [1, 1]) is None
    )
    found = balance(
        ["He saw HER.", "hero"], ["the king"], {"female": frozenset({"her"}), "male": frozenset({"he", "king"})}
    )
    assert (found.answer_counts, found.reference_counts, found.references) == (
        {"female": 1, "male": 1},
        {"female": 0, "male": 1},
        0.5,
    )
    assert found.answers == pytest.approx(abs(1 / 1.5 - 0.5))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_jsonl(
        tmp_path / "set.jsonl", [row("Who paid the clerk?", CONTEXT, "The man"), row("How deep is the pool?", CONTEXT)]
    )
    module.main([str(file), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["set"]["accuracy"]["f1"]["n"] == 1 and told["all"]["efficiency"]["flops_per_token"] > 1e6
    module.main([str(file), "--limit", "1"])
    assert "robustness   F1" in capsys.readouterr().out
    with pytest.raises(DataError, match="cannot be read"):
        module.main([str(tmp_path / "none.jsonl")])
    with pytest.raises(WeightsError):
        module.main([str(file), "--model", str(tmp_path)])


def test_the_worst_counts_the_question_as_it_is(rows: list[QaRow]) -> None:
    made = evaluate(Particular(), rows)
    better = replace(
        made, perturbed={name: [replace(one, f1=1.0) for one in some] for name, some in made.perturbed.items()}
    )
    assert (under(better, ROBUSTNESS).mean.value, under(better, ROBUSTNESS).worst.value) == (1.0, 0.0)
