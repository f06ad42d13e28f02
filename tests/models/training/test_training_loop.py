"""The training loop: it learns, resumes after an interruption, and gives the same weights for the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

from models.common.errors import DataError, TrainError
from models.training.batches import Batch
from models.training.objective import baseline_loss as loss
from models.training.training_loop import FRESH, TrainConfig, parameter_groups, schedule, train

SHORT = TrainConfig(epochs=2, precision="fp32", learning_rate=1e-3, save_minutes=0.0)


def batches(epoch: int) -> list[Batch]:
    return [tiny.batch(4, 10 * epoch + number) for number in range(5 - epoch)]  # 5, then 4


class Killed(Exception):
    pass


def killed_at(call: int) -> Callable[[nn.Module, Batch], dict[str, torch.Tensor]]:
    """The baseline's loss, which at its so manyth call ends the run."""
    calls = iter(range(call + 1))

    def dying(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        if next(calls) == call:
            raise Killed
        return loss(model, batch)

    return dying


def assert_same(one: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in one.state_dict().items())


def logged(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_handful_of_examples_is_learned(tmp_path: Path) -> None:
    few = [tiny.batch(4, 0), tiny.batch(4, 1)]
    config = replace(SHORT, epochs=75, learning_rate=1e-2, save_minutes=9)
    model = train(tiny.reader(0.0), lambda epoch: few, loss, config, tmp_path)
    first, *_, last = logged(tmp_path)
    assert [line["step"] for line in logged(tmp_path)] == [50, 100, 150]
    assert last["loss"] < 0.1 * first["loss"]
    spans, judged = model.eval()(few[0].input_ids, few[0].token_type_ids, few[0].attention_mask)
    assert spans.masked_fill(~few[0].span_mask[..., None], -1e9).argmax(1)[:, 0].tolist() == few[0].start.tolist()
    assert (judged > 0).tolist() == [[True, True]] * 3 + [[False, False]]


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("call", [1, 3, 4, 6])
def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path, accumulate: int, call: int) -> None:
    """Dropout included, and also where gradients of an unfinished step are lost."""
    config = replace(SHORT, accumulate=accumulate)
    whole = train(tiny.reader(), batches, loss, config, tmp_path / "whole")
    with pytest.raises(Killed):
        train(tiny.reader(), batches, killed_at(call), config, tmp_path / "cut")
    stepped = call >= accumulate
    assert (tmp_path / "cut" / "checkpoint").exists() == stepped
    fresh = tiny.reader(seed=int(stepped))  # the checkpoint has the weights
    assert_same(whole, train(fresh, batches, loss, config, tmp_path / "cut"))


def test_a_run_that_is_done_stays_as_it_is(tmp_path: Path) -> None:
    whole = train(tiny.reader(), batches, loss, SHORT, tmp_path)
    lines = logged(tmp_path)
    assert_same(whole, train(tiny.reader(seed=1), batches, killed_at(0), SHORT, tmp_path))
    assert logged(tmp_path) == lines and lines[-1]["step"] == lines[-1]["of"] == 9


def test_the_seed_decides(tmp_path: Path) -> None:
    one, same = (train(tiny.reader(), batches, loss, SHORT, tmp_path / name) for name in ("one", "same"))
    assert_same(one, same)
    other = train(tiny.reader(), batches, loss, replace(SHORT, seed=1), tmp_path / "other")
    assert not torch.equal(one.span.weight, other.span.weight)


def test_each_batch_is_seen_once_though_epochs_differ_in_length(tmp_path: Path) -> None:
    seen = []

    def watched(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        seen.append(batch.input_ids)
        return loss(model, batch)

    def lengths(epoch: int) -> list[Batch]:
        return batches(1 - epoch)  # 4, then 5

    train(tiny.reader(), lengths, watched, SHORT, tmp_path)
    expected = [batch.input_ids for epoch in (0, 1) for batch in lengths(epoch)]
    assert len(seen) == 9 and all(map(torch.equal, seen, expected))


class Steps(torch.optim.AdamW):
    """Remembers each step's gradient and learning rate."""

    taken: Sequence[tuple[torch.Tensor, float]] = ()

    def step(self, *arguments: object, **more: object) -> None:
        [weight] = (weight for group in self.param_groups for weight in group["params"])
        Steps.taken = [*Steps.taken, (weight.grad.clone(), self.param_groups[0]["lr"])]
        return super().step(*arguments, **more)


def test_a_step_sees_the_mean_gradient_of_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the last step of an epoch, which has fewer. The gradient of weight * x is x."""
    monkeypatch.setattr(torch.optim, "AdamW", Steps)
    monkeypatch.setattr(Steps, "taken", ())
    numbers = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    config = replace(SHORT, epochs=1, accumulate=2, clip=1e9, learning_rate=1.0, warmup=0.5)
    line = nn.Linear(1, 1, bias=False)
    train(line, lambda epoch: numbers, lambda model, x: {"loss": model(x[None]).sum()}, config, tmp_path)
    assert [gradient.item() for gradient, _ in Steps.taken] == [1.5, 6.0, 16.0]
    assert [rate for _, rate in Steps.taken] == [schedule(done, 5, 0.5) for done in (1, 3, 4)]


def test_halves_that_are_accumulated_learn_like_the_whole(tmp_path: Path) -> None:
    whole = [tiny.batch(8, number) for number in range(4)]
    for batch in whole:
        # as many of each kind in both halves
        batch.answerable[3] = batch.evidence[3] = batch.start[3] = batch.end[3] = 0

    def half(batch: Batch, rows: slice) -> Batch:
        return Batch(*(getattr(batch, name)[rows] for name in Batch.__slots__))

    halves = [half(batch, rows) for batch in whole for rows in (slice(4), slice(4, 8))]
    config = replace(SHORT, epochs=1, save_minutes=9, warmup=0.0)
    one = train(tiny.reader(0.0), lambda epoch: whole, loss, config, tmp_path / "whole")
    two = train(tiny.reader(0.0), lambda epoch: halves, loss, replace(config, accumulate=2), tmp_path / "halves")
    fresh = tiny.reader(0.0)
    for name in ("span.weight", "judge.weight", "encoder.encoder.layer.0.output.dense.weight"):
        moved = (one.get_parameter(name) - fresh.get_parameter(name)).norm()
        # the learning rate falls a little earlier
        assert (two.get_parameter(name) - one.get_parameter(name)).norm() < 0.25 * moved


def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path: Path) -> None:
    plain = train(tiny.reader(), batches, loss, SHORT, tmp_path / "plain")
    model = tiny.reader()
    saved = train(model, batches, loss, replace(SHORT, gradient_checkpointing=True), tmp_path / "saved")
    assert model.is_activation_checkpointing
    for name, weight in plain.named_parameters():
        torch.testing.assert_close(saved.get_parameter(name), weight, rtol=1e-3, atol=1e-5)
    assert logged(tmp_path / "saved")[-1]["loss"] == pytest.approx(logged(tmp_path / "plain")[-1]["loss"], abs=1e-3)


def test_frozen_weights_stay_and_vectors_do_not_decay(tmp_path: Path) -> None:
    model = tiny.reader()
    model.encoder.embeddings.requires_grad_(False)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    train(
        model,
        batches,
        lambda model, batch: {"loss": 0 * loss(model, batch)["loss"]},
        replace(SHORT, weight_decay=0.5),
        tmp_path,
    )
    for name, weight in model.state_dict().items():
        decayed = weight.ndim > 1 and not name.startswith("encoder.embeddings")
        assert torch.equal(weight, before[name]) != decayed, name
    matrices, rest = parameter_groups(model, 0.5, ())
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert len(matrices["params"]) + len(rest["params"]) == len(trained) and (
        matrices["weight_decay"],
        rest["weight_decay"],
    ) == (0.5, 0.0)
    new = {id(weight) for name, weight in model.named_parameters() if name.startswith("span")}
    for group in parameter_groups(model, 0.5, ("span",)):
        assert {id(weight) in new for weight in group["params"]} == {group["scale"] == FRESH}


@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 1.0])
def test_the_learning_rate_rises_and_falls(warmup: float) -> None:
    shares = [schedule(step, 40, warmup) for step in range(40)]
    top = shares.index(max(shares))
    assert max(shares) == 1.0 and min(shares) > 0
    assert shares[: top + 1] == sorted(shares[: top + 1]) and shares[top:] == sorted(shares[top:], reverse=True)
    assert abs(top - 40 * warmup) <= 1


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no examples"):
        train(tiny.reader(), lambda epoch: [], loss, SHORT, tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"tokens": 0}, {"accumulate": -1}, {"evaluate_every": 0}, {"precision": "fp8"}]
)
def test_a_configuration_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(TrainError, match=next(iter(wrong))):
        TrainConfig(**wrong)
