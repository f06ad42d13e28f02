"""What an evaluation of a reader counts, over a reader whose answers are written by hand."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny
from qa_files import row, write_jsonl

from models.common import base_encoder
from models.common.checkpoint import model_type, open_model
from models.common.errors import WeightsError
from models.network.baseline_reader import BaselineReader
from models.reader.types import NOTHING, Finding
from models.reader.windows import Passage
from models.training.evaluate import evaluate_qa, named, open_reader, sigmoid
from models.training.question_sets import QaRow, read_qa

CONTEXT = "The pool is heated to 28 degrees by a boiler. Children pay nothing."


class Knows:
    """Finds what is written for a question, as sure as is written."""

    def __init__(self, answers: dict[str, tuple[str, float]]) -> None:
        self.answers, self.titles = answers, []

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]:
        self.titles += [passage.title for _, passage in pairs]
        return [self._find(question, passage.text) for question, passage in pairs]

    def _find(self, question: str, text: str) -> Finding:
        words, sure = self.answers[question]
        start = text.index(words)
        return Finding(start, start + len(words), sure, sure, sure)


@pytest.fixture
def rows(tmp_path: Path) -> list[QaRow]:
    free = {**row("Why?", CONTEXT), "unanswerable": False, "answers": [{"text": "It is winter.", "start": -1}]}
    return read_qa(write_jsonl(tmp_path / "set.jsonl", [
        row("How warm?", CONTEXT, "28 degrees", title="Pool"), row("By what?", CONTEXT, "a boiler"),
        row("Who pays?", CONTEXT, "Children"), row("How deep?", CONTEXT), row("How old?", CONTEXT), free,
    ]))  # fmt: skip


def test_every_figure_by_hand(rows: list[QaRow]) -> None:
    reader = Knows({
        "How warm?": ("28 degrees", 3.0), "By what?": ("heated to 28 degrees by a boiler", 1.0),
        "Who pays?": ("nothing", -1.0), "How deep?": ("pool", 2.0), "How old?": ("pool", -3.0),
    })  # fmt: skip
    report = evaluate_qa(reader, rows, lambda finding: sigmoid(finding.answerable))
    f1 = 2 * (1 / 6) / (1 / 6 + 1)  # "boiler" of six words without the article, all of the answer
    assert reader.titles[0] == "Pool" and len(reader.titles) == 5  # free text is left out
    assert (report.exact_match.value, report.exact_match.n) == (pytest.approx(1 / 3), 3)
    assert report.f1.value == pytest.approx((1 + f1) / 3)
    # It abstains on "Who pays?", wrongly, and on "How old?", rightly; not on "How deep?".
    assert [getattr(report.abstention, name).value for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]
    assert report.auroc.value == pytest.approx(4 / 6)  # of 3, 1, -1 against 2, -3
    losses = [0, 1, 1 - f1, 1, 1]  # the surest first
    assert report.risk_coverage.value == pytest.approx(sum(sum(losses[: n + 1]) / (n + 1) for n in range(5)) / 5)
    wrong = [1 - sigmoid(3), 1 - sigmoid(1), 1 - sigmoid(-1), sigmoid(2), sigmoid(-3)]  # each in a bin of its own
    assert report.calibration_error.value == pytest.approx(sum(wrong) / 5)
    assert report.ms >= 0


def test_the_threshold_is_the_least_confidence(rows: list[QaRow]) -> None:
    reader = Knows(
        {question: ("pool", 0.5) for question in ("How warm?", "By what?", "Who pays?", "How deep?", "How old?")}
    )
    assert evaluate_qa(reader, rows, lambda finding: finding.span, 0.5).abstention.recall.value == 0.0
    assert evaluate_qa(reader, rows, lambda finding: finding.span, 0.51).abstention.recall.value == 1.0


def test_nothing_found_and_nothing_asked(rows: list[QaRow]) -> None:
    class Blind(Knows):
        def _find(self, question: str, text: str) -> Finding:
            return NOTHING

    report = evaluate_qa(Blind({}), rows, lambda finding: sigmoid(finding.answerable))
    assert (report.f1.value, report.abstention.recall.value, report.auroc.value) == (0.0, 1.0, 0.5)
    empty = evaluate_qa(Blind({}), rows[-1:], lambda finding: 0.5)
    assert (empty.f1.value, empty.f1.n, empty.auroc.value) == (None, 0, None)


def test_files_of_one_name_are_told_apart() -> None:
    train, dev, other = Path("train/wtq.jsonl.gz"), Path("dev/wtq.jsonl.gz"), Path("dev/tatqa.jsonl")
    assert named([train, dev, other]) == {str(train): train, str(dev): dev, "tatqa": other}


def test_sigmoid_of_anything() -> None:
    assert [sigmoid(value) for value in (-math.inf, 0.0, math.inf)] == [pytest.approx(0), 0.5, pytest.approx(1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.reader().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_trained_model_opens(folder: Path) -> None:
    opened = open_model(BaselineReader, folder)
    assert opened.span.weight.equal(tiny.reader().span.weight) and model_type(folder) == "bert"


def test_a_folder_without_a_readers_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    """MiniLM itself would open too, under heads of chance."""
    with pytest.raises(WeightsError, match=r"holds no BaselineReader: .*(judge|span|pooler)"):
        open_reader(base_encoder.folder())
    with pytest.raises(WeightsError, match="nowhere holds no model"):
        open_reader(tmp_path / "nowhere")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):
        weights.write_bytes(damaged)
        with pytest.raises(WeightsError, match="holds no BaselineReader"):
            open_reader(folder)
    weights.unlink()
    with pytest.raises(WeightsError, match="holds no BaselineReader"):
        open_reader(folder)
    for text in ("{", json.dumps([1]), "{}"):
        (folder / "config.json").write_text(text)
        with pytest.raises(WeightsError, match="holds no model"):
            open_reader(folder)
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match="holds no model"):
        open_reader(folder)
