"""Gradient checkpointing and bf16 in every trainer: less is kept, and the same is learned."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import small
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from models.reader.adapter import METHODS
from models.systems import distill
from models.training import finetune, train
from models.training.objective import loss, reading
from models.training.training_loop import TrainConfig
from models.training.training_loop import train as run
from vision.tower_input import TowerConfig
from vision.training import contrastive
from vision.training import train as vision_train
from vision.training.batches import Batch

WIDE = {"vision": "tower.transformer.resblocks.0.mlp.c_fc"} | dict.fromkeys(
    ("embedded", "lora"), "memory.bert.encoder.layer.0.intermediate.dense"
)

Loss = Callable[[nn.Module, Any], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Any:
    questions = small.questions(tmp_path_factory.mktemp("prepared"))
    return questions.batch(questions.order(400, 0, 0)[0])


def made(trainer: str, batch: Any) -> tuple[nn.Module, Loss, Any]:
    """The model of a trainer, in the small, its loss and a batch."""
    torch.manual_seed(0)
    if trainer == "vision":
        pictures = torch.randint(0, 255, (4, 128, 128, 4), dtype=torch.uint8)
        tower = contrastive.ContrastiveTower(TowerConfig(32, 16, 32, 2, 2, 384, 0.0))
        texts = nn.functional.normalize(torch.randn(4, 384))
        return tower, contrastive.loss, Batch(pictures, torch.zeros(4, dtype=torch.bool), texts)
    model = small.reader()
    if trainer == "embedded":
        return model, loss, batch
    finetune.prepare(model, trainer)
    return model, reading, batch


def kept(trainer: str, batch: Any, *, checkpointing: bool) -> tuple[int, dict[str, torch.Tensor]]:
    """The bytes that a step keeps for its backward pass, and its gradients."""
    model, asked, batch = made(trainer, batch)
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    sizes: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(0)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        value = asked(model.train(), batch)["loss"]
    value.backward()
    return sum(sizes.values()), {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }


@pytest.mark.parametrize("trainer", ["embedded", "vision", *METHODS])
def test_checkpointing_keeps_less_and_learns_the_same(trainer: str, batch: Any) -> None:
    whole, gradients = kept(trainer, batch, checkpointing=False)
    less, again = kept(trainer, batch, checkpointing=True)
    assert less < 0.9 * whole
    assert gradients.keys() == again.keys() and len(gradients) > 4
    for name, gradient in gradients.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.fixture
def fresh() -> Iterator[None]:
    """accelerate holds on to the precision that was asked for first in a process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def losses(trainer: str, batch: Any, precision: str, out: Path) -> list[float]:
    """Of each step of a short run, which is as precise as it says."""
    AcceleratorState._reset_state(reset_partial_state=True)
    model, asked, examples = made(trainer, batch)
    seen, told = set(), []
    model.get_submodule(WIDE[trainer]).register_forward_hook(lambda _, __, output: seen.add(output.dtype))

    def noted(model: nn.Module, batch: Any) -> dict[str, torch.Tensor]:
        parts = asked(model, batch)
        told.append(parts["loss"].item())
        return parts

    run(
        model,
        lambda epoch: [examples] * 6,
        noted,
        TrainConfig(epochs=1, learning_rate=1e-3, precision=precision, gradient_checkpointing=True),
        out,
    )
    assert seen == {torch.bfloat16 if precision == "bf16" else torch.float32}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    return told


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("trainer", ["embedded", "vision", "lora"])
def test_bf16_learns_nearly_the_same(trainer: str, batch: Any, tmp_path: Path) -> None:
    """Weights stay float32, products are bf16: the losses of a short run hardly differ."""
    whole, half = (losses(trainer, batch, precision, tmp_path / precision) for precision in ("fp32", "bf16"))
    assert half != whole
    assert max(abs(one - two) for one, two in zip(whole, half, strict=True)) < 0.1 * whole[0]


@pytest.mark.parametrize("trainer", [train, distill, finetune, vision_train])
def test_every_trainer_has_every_flag(trainer: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        argparse.ArgumentParser,
        "parse_args",
        lambda parser, arguments=None: asked.extend(parser._option_string_actions) or parser.exit(),
    )
    with pytest.raises(SystemExit):
        trainer.main([])
    assert {"--" + field.name.replace("_", "-") for field in fields(TrainConfig)} <= set(asked)
