"""The folder of a run: its log and checkpoint, and what an interruption leaves of both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from test_training_loop import SHORT, Killed, assert_same, batches, killed_at, logged

from models.common.errors import TrainError
from models.training.objective import baseline_loss as loss
from models.training.plots import draw
from models.training.training_loop import train


def test_the_log_has_no_step_twice(tmp_path: Path) -> None:
    config = replace(SHORT, evaluate_every=2)

    def measured(model: torch.nn.Module) -> dict[str, float]:
        assert not model.training
        return {"dev F1": 0.5}

    with pytest.raises(Killed):
        train(tiny.reader(), batches, killed_at(5), replace(config, save_minutes=9), tmp_path, evaluate=measured)
    assert [line["step"] for line in logged(tmp_path)] == [2, 4]  # and no checkpoint
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "los')  # killed while it wrote
    train(tiny.reader(), batches, loss, config, tmp_path, evaluate=measured)
    lines = logged(tmp_path)
    assert [line["step"] for line in lines if "of" not in line] == [2, 4, 6, 8, 9]
    [last] = [line for line in lines if "of" in line]
    assert (last["step"], last["of"]) == (9, 9) and {"loss", "span", "answerable", "evidence", "seconds"} < set(last)
    assert json.loads((tmp_path / "train.json").read_text())["evaluate_every"] == 2


def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tiny.reader(), batches, loss, SHORT, tmp_path / "whole")
    save, saves = torch.save, []

    def dying(state: object, path: Path) -> None:
        saves.append(path)
        if len(saves) in dies:
            path.write_bytes(b"half of it")
            raise Killed
        save(state, path)

    monkeypatch.setattr(torch, "save", dying)
    dies = {1, 5}  # in the very first save, then in a later one
    for _ in dies:
        with pytest.raises(Killed):
            train(tiny.reader(), batches, loss, SHORT, tmp_path / "cut")
    assert_same(whole, train(tiny.reader(), batches, loss, SHORT, tmp_path / "cut"))
    assert len(saves) == 1 + 4 + 6 + 1  # the third run begins with the fourth batch; each saves once more at its end


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(tiny.reader(), batches, loss, SHORT, tmp_path)
    before = (tmp_path / "train.json").read_bytes(), (tmp_path / "log.jsonl").read_bytes()
    for other in (replace(SHORT, epochs=1), replace(SHORT, seed=5), replace(SHORT, accumulate=2)):
        with pytest.raises(TrainError, match="another --out"):
            train(tiny.reader(), batches, loss, other, tmp_path)
    with pytest.raises(TrainError, match="is of another model"):
        train(tiny.reader(width=32), batches, loss, SHORT, tmp_path)
    assert before == ((tmp_path / "train.json").read_bytes(), (tmp_path / "log.jsonl").read_bytes())


def test_a_log_is_drawn(tmp_path: Path) -> None:
    lines = [
        {"step": 50, "of": 100, "seconds": 1.0, "loss": 2.0},
        {"step": 50, "dev F1": 0.5},
        {"step": 100, "of": 100, "seconds": 2.0, "loss": 1.0},
    ]
    for name, chosen in (("both", lines), ("training", lines[:1]), ("nothing", [])):
        (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in chosen))
        draw(tmp_path / "log.jsonl", tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
