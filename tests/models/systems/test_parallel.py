"""Training in several processes: losses and weights of one process, checkpoints for any layout, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from qa_files import row, write_jsonl
from together import run

from models.common.checkpoint import open_model
from models.common.errors import DataError, LayoutError, TrainError, WeightsError
from models.network.grounded import GroundedForCausalLM
from models.systems import parallel
from models.systems.processes import Layout, process_group
from models.training.prepare_data import prepare
from models.training.presets import tiny
from models.training.question_batches import QuestionBatch, Questions
from models.training.train import Epoch
from models.training.training_loop import TrainConfig
from models.training.training_loop import train as train_alone

ROWS = [
    row(
        f"How warm is pool {i}?", f"Pool {i} is heated to {i + 100} degrees." + " It is large." * (i % 4),
        f"{i + 100} degrees",
    )
    for i in range(40)
]  # fmt: skip
ROWS += [
    row("How deep is it?", "The pool is round."),
    row("Who swims?", "Nobody was there on that day, not even Ann.", "Nobody"),
]
CONFIG = TrainConfig(epochs=1, tokens=110, learning_rate=2e-3, accumulate=4, precision="fp32", clip=0.5)
CLOSE = 1e-4
# one number for all places of a softmax: what is computed as its gradient is noise, which AdamW makes large
NO_GRADIENT = "memory.span.bias"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_jsonl(made / "qa" / "train" / "squad2_dev.jsonl.gz", ROWS)
    prepare(made, made / "prepared")
    return made / "prepared"


@dataclass(frozen=True, slots=True)
class Alone:
    losses: list[float]
    weights: dict[str, torch.Tensor]


def new(prepared: Path) -> parallel.Task:
    torch.manual_seed(1)
    task = tiny(prepared, None)
    task.model.route()  # so that there are weights of a single number too
    return task


@pytest.fixture(scope="module")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """What models.training.training_loop makes of the same batches."""
    task, losses = new(prepared), []

    def loss(model: torch.nn.Module, batch: object) -> dict[str, torch.Tensor]:
        parts = task.loss(model, batch)
        losses.append(parts["loss"].item())
        return parts

    order = task.examples.order(CONFIG.tokens, CONFIG.seed, 0)
    assert len(order) % CONFIG.accumulate  # so that the last step has fewer batches
    model = train_alone(
        task.model, lambda _: Epoch(task.examples, order), loss, CONFIG, tmp_path_factory.mktemp("alone")
    )
    windows = [losses[at : at + CONFIG.accumulate] for at in range(0, len(losses), CONFIG.accumulate)]
    return Alone(
        [sum(window) / len(window) for window in windows],
        {name: weight.detach().clone() for name, weight in model.named_parameters()},
    )



class Torn(Questions):
    """Examples that fail, in every process, when some steps are done."""

    left = 5

    def batch(self, indices: np.ndarray) -> QuestionBatch:
        self.left -= 1
        if not self.left:
            raise EOFError
        return super().batch(indices)


def trained(prepared: Path, runs: list[tuple[Layout, Path]]) -> list[parallel.Trained]:
    """In one of the processes: these runs, and one that is cut off as data parallel and goes on as tensor parallel."""
    with process_group():
        made = [parallel.train(new(prepared), layout, CONFIG, out) for layout, out in runs]
        resumed = runs[-1][1].parent / "resumed"
        with pytest.raises(EOFError):
            parallel.train(
                replace(new(prepared), examples=Torn(prepared)),
                Layout(data=2),
                replace(CONFIG, save_minutes=0.0),
                resumed,
            )
        return [*made, parallel.train(new(prepared), Layout(tensor=2), CONFIG, resumed)]


def assert_same(run: Path, made: parallel.Trained, alone: Alone, steps: slice = slice(None)) -> None:
    assert made.losses == pytest.approx(alone.losses[steps], abs=CLOSE)
    parallel.export(run, run / "model")
    model = open_model(GroundedForCausalLM, run / "model")
    for name, weight in alone.weights.items():
        if name != NO_GRADIENT:
            torch.testing.assert_close(model.get_parameter(name), weight, atol=2e-5, rtol=0, msg=name)


ROOT = Path(__file__).parents[3]
LAYOUTS = {"data": Layout(data=2), "tensor": Layout(tensor=2), "pipeline": Layout(pipeline=2)}
Runs = dict[str, tuple[Path, list[parallel.Trained]]]


@pytest.fixture(scope="module")
def runs(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """By two processes: the folder of each run, and what each process told of it."""
    folder = tmp_path_factory.mktemp("runs")
    made = run(2, trained, prepared, [(layout, folder / name) for name, layout in LAYOUTS.items()])
    return {name: (folder / name, [one[at] for one in made]) for at, name in enumerate([*LAYOUTS, "resumed"])}


@pytest.mark.parametrize("name", LAYOUTS)
def test_two_processes_train_what_one_trains(runs: Runs, alone: Alone, name: str) -> None:
    folder, (first, second) = runs[name]
    assert first.losses == second.losses
    assert_same(folder, first, alone)
    line = json.loads((folder / "log.jsonl").read_text())
    assert (
        line["step"] == line["of"]
        and line["loss"] == pytest.approx(sum(first.losses) / len(first.losses), abs=CLOSE)
        and line["through"] == 1
    )


def test_each_process_holds_its_part(runs: Runs, alone: Alone) -> None:
    whole = sum(weight.numel() * weight.element_size() for weight in alone.weights.values())
    held = {name: runs[name][1][0].memory for name in LAYOUTS}
    assert all(one.parameters < 0.51 * whole and one.optimizer < 1.02 * whole for one in held["data"])
    assert all(one.parameters < whole for one in held["tensor"])
    words = 4 * alone.weights["model.embed_tokens.weight"].numel()  # both ends of a pipeline have them
    assert sum(one.parameters for one in held["pipeline"]) == whole + words
    assert all(one.peak > one.parameters for some in held.values() for one in some)


def test_a_run_goes_on_in_another_layout(runs: Runs, alone: Alone) -> None:
    folder, (first, _) = runs["resumed"]
    assert len(first.losses) == len(alone.losses) - 2
    assert_same(folder, first, alone, slice(2, None))
    # the last step has one batch
    assert [path.name for path in (folder / parallel.SHARDS).iterdir()] == [
        str(sum(CONFIG.accumulate for _ in alone.losses) - 3)
    ]


@pytest.mark.slow
def test_eight_processes_train_what_one_trains(prepared: Path, alone: Alone, tmp_path: Path) -> None:
    first, *_ = run(8, eighth, prepared, tmp_path)
    assert_same(tmp_path, first, alone)
    assert len(first.memory) == 8


def eighth(prepared: Path, out: Path) -> parallel.Trained:
    with process_group():
        return parallel.train(new(prepared), Layout(2, 2, 2), CONFIG, out)


def flags(prepared: Path, out: Path, *more: str) -> list[str]:
    return [
        "--preset", "tiny", "--data", str(prepared), "--out", str(out), "--tokens", "110", "--precision", "fp32", *more,
    ]


@pytest.mark.parametrize(("started", "more", "error", "says"), [
    (
        4, ["--data-parallel", "2"], LayoutError,
        "2 x 1 x 1 .* are 2 processes, and 4 were started: .* --nproc-per-node 2",
    ),
    (4, ["--pipeline-parallel", "4"], LayoutError, "the decoder has 3 layers, give at most 3"),
    (3, ["--tensor-parallel", "3"], LayoutError, "cannot share 4 heads evenly"),
    (4, ["--tensor-parallel", "4"], LayoutError, "cannot share 2 key-value heads evenly"),
    (1, ["--data-parallel", "0"], LayoutError, "at least 1"),
    (
        2, ["--data-parallel", "2", "--accumulate", "3"], TrainError,
        "--accumulate 3: .* give 2 or a larger multiple of 2",
    ),
    (2, ["--pipeline-parallel", "2", "--accumulate", "1"], TrainError, "--accumulate 1"),
    (2, ["--data-parallel", "2", "--zero", "2"], TrainError, "not installed: pip install deepspeed"),
    (2, ["--data-parallel", "2", "--zero", "4"], TrainError, "--zero is one of 1, 2, 3, not 4"),
    (2, ["--tensor-parallel", "2", "--zero", "2"], LayoutError, "goes with --data-parallel alone"),
    (1, ["--compile"], TrainError, "leave it out"),
    (1, ["--data", "nowhere"], DataError, r"models\.training\.prepare_data"),
])  # fmt: skip
def test_what_cannot_be_is_one_line_before_anything_starts(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: int,
    more: list[str],
    error: type[Exception],
    says: str,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(started))
    with pytest.raises(error, match=says) as raised:
        parallel.main(flags(prepared, tmp_path / "run", *more))
    assert "\n" not in str(raised.value) and not (tmp_path / "run").exists()
    if started > 1:
        monkeypatch.setenv("RANK", "1")  # which leaves it to the first process to tell
        with pytest.raises(SystemExit) as ended:
            parallel.main(flags(prepared, tmp_path / "run", *more))
        assert ended.value.code == 0


def test_a_checkpoint_of_another_run_and_a_torn_one(prepared: Path, runs: Runs, tmp_path: Path) -> None:
    folder = shutil.copytree(runs["tensor"][0] / parallel.SHARDS, tmp_path / parallel.SHARDS).parent
    with process_group(), pytest.raises(TrainError, match=r"asked for is .* another --out"):
        parallel.train(new(prepared), Layout(), replace(CONFIG, accumulate=2), folder)
    with process_group():
        assert parallel.train(new(prepared), Layout(), CONFIG, folder).losses == []  # it is done
    torn = next(folder.glob("*/*/*.distcp"))
    torn.write_bytes(torn.read_bytes()[:100])
    with pytest.raises(WeightsError, match="damaged"):
        parallel.export(folder, tmp_path / "model")
    with pytest.raises(WeightsError, match="holds no checkpoint"):
        parallel.export(tmp_path / "nowhere", tmp_path / "model")
    with pytest.raises(WeightsError, match="is there already"):
        parallel.export(runs["data"][0], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {parallel.SHARDS, "train.json", "log.jsonl"}


@pytest.mark.slow
def test_when_one_process_dies_none_is_left(prepared: Path, tmp_path: Path) -> None:
    """As it is typed; what was saved is gone on with."""
    typed = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "models.systems.parallel",
        *flags(prepared, tmp_path, "--data-parallel", "2"),
    ]
    started = subprocess.Popen(
        [*typed, "--epochs", "5000"], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )
    while not (tmp_path / "log.jsonl").exists() and started.poll() is None:
        time.sleep(0.1)
    workers = psutil.Process(started.pid).children()
    assert len(workers) == 2
    workers[1].send_signal(signal.SIGKILL)
    _, told = started.communicate(timeout=60)
    assert started.returncode and "Signal 9" in told
    assert not any(worker.is_running() for worker in workers)
