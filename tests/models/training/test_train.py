"""The commands models.training.train and models.training.evaluate: from question files to a measured model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from qa_files import row, write_jsonl

from models.common.errors import DataError, TrainError
from models.network.baseline_reader import BaselineReader
from models.training import evaluate, train
from models.training.prepare_data import prepare

ROOT = Path(__file__).parents[3]
ROWS = [
    row(f"How warm is pool {i}?", f"Pool {i} is heated to {i + 100} degrees.", f"{i + 100} degrees") for i in range(9)
]
ROWS.append(row("How deep is it?", "The pool is round."))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_jsonl(made / "qa" / "train" / "squad2_dev.jsonl.gz", ROWS)
    prepare(made, made / "prepared")
    write_jsonl(made / "dev.jsonl.gz", ROWS)
    return made


def flags(folder: Path, out: str) -> list[str]:
    return [
        "--preset", "baseline", "--data", str(folder / "prepared"), "--out", str(folder / out), "--epochs", "1",
        "--tokens", "200", "--seed", "7", "--precision", "fp32",
    ]


def module(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    done = module("models.training.train", *flags(folder, "run"), "--dev", str(folder / "dev.jsonl.gz"))
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_run_leaves_its_model_its_log_and_a_picture(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == lines[0]["of"] and lines[0]["loss"] > 0
    assert set(lines[1]) == {"step", "dev F1", "dev AUROC"}
    assert (run / "log.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((run / "train.json").read_text())["tokens"] == 200
    assert isinstance(BaselineReader.from_pretrained(run / "model"), BaselineReader)


def test_the_same_seed_trains_the_same_weights(folder: Path, run: Path) -> None:
    """In another process, whose random numbers were used before: the new heads' first values among them."""
    torch.rand(7)
    train.main(flags(folder, "again"))
    one, two = (BaselineReader.from_pretrained(folder / name / "model").state_dict() for name in ("run", "again"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-4, atol=1e-5)


def test_a_trained_model_is_measured(folder: Path, run: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["qa", str(folder / "dev.jsonl.gz"), "--model", str(run / "model"), "--limit", "5"]
    evaluate.main([*arguments, "--json"])
    report = json.loads(capsys.readouterr().out)["dev"]
    scores = {"exact_match", "f1", "auroc", "risk_coverage", "calibration_error"}
    assert set(report) == scores | {"abstention", "ms"} and set(report["abstention"]) == {"precision", "recall", "f1"}
    assert all(set(report[name]) == {"value", "low", "high", "n"} for name in scores)
    assert (report["f1"]["n"], report["auroc"]["value"]) == (5, None)  # five answerable ones: no ROC
    evaluate.main(arguments)
    assert capsys.readouterr().out.startswith("dev ")


def test_what_a_user_can_cause_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"models\.training\.prepare_data"):
        train.main(["--preset", "baseline", "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    with pytest.raises(TrainError, match="precision"):
        train.main([*flags(folder, "none"), "--precision", "fp8"])
    done = module("models.training.prepare_data", str(tmp_path), str(tmp_path / "out"))
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_the_tiny_preset_goes_the_whole_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = flags(folder, "tiny")
    train.main(["--preset", "tiny", *arguments[2:], "--dev", str(folder / "dev.jsonl.gz")])
    evaluate.main(["qa", str(folder / "dev.jsonl.gz"), "--model", str(folder / "tiny" / "model"), "--json"])
    assert set(json.loads(capsys.readouterr().out)) == {"dev"} and (folder / "tiny" / "log.png").exists()
