"""Training in several processes: the losses and weights of one process, checkpoints that any layout opens, and what is refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import torch
from qa_files import row, write_jsonl
from together import run

from models import parallel
from models.checkpoint import open_model
from models.data import prepare
from models.errors import TrainError, WeightsError
from models.grounded import GroundedForCausalLM
from models.loop import TrainConfig
from models.loop import train as train_alone
from models.presets import tiny
from models.processes import Layout, together
from models.train import Epoch

ROWS = [row(f"How warm is pool {i}?", f"Pool {i} is heated to {i + 100} degrees." + " It is large." * (i % 4), f"{i + 100} degrees") for i in range(40)]
ROWS += [row("How deep is it?", "The pool is round."), row("Who swims?", "Nobody was there on that day, not even Ann.", "Nobody")]
CONFIG = TrainConfig(epochs=1, tokens=110, learning_rate=2e-3, accumulate=4, precision="fp32", clip=0.5)
CLOSE = 1e-4


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
    return tiny(prepared, None)


@pytest.fixture(scope="module")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """What models.loop makes of the same batches."""
    task, losses = new(prepared), []

    def loss(model: torch.nn.Module, batch: object) -> dict[str, torch.Tensor]:
        parts = task.loss(model, batch)
        losses.append(float(parts["loss"]))
        return parts

    order = task.examples.order(CONFIG.tokens, CONFIG.seed, 0)
    assert len(order) % CONFIG.accumulate  # so that the last step has fewer batches
    model = train_alone(task.model, lambda _: Epoch(task.examples, order), loss, CONFIG, tmp_path_factory.mktemp("alone"))
    windows = [losses[at : at + CONFIG.accumulate] for at in range(0, len(losses), CONFIG.accumulate)]
    return Alone([sum(window) / len(window) for window in windows], {name: weight.detach().clone() for name, weight in model.named_parameters()})


def trained(prepared: Path, runs: list[tuple[Layout, Path]]) -> list[dict]:
    """In one of the processes."""
    with together():
        return [asdict(parallel.train(new(prepared), layout, CONFIG, out)) for layout, out in runs]


def test_two(prepared, alone, tmp_path):
    print(alone.losses)
    runs = [(Layout(data=2), tmp_path / "data"), (Layout(tensor=2), tmp_path / "tensor"), (Layout(pipeline=2), tmp_path / "pipeline")]
    made = run(2, trained, prepared, runs)
    for one in made[0]: print(one)
    for (_, out) in runs:
        parallel.export(out, out / "model")
        m = open_model(GroundedForCausalLM, out / "model")
        diffs = sorted(((m.get_parameter(n) - w).abs().max().item(), n) for n, w in alone.weights.items())[-4:]
        print(out.name, diffs)
    assert 0
