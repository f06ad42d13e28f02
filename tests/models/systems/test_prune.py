"""Pruning: what does nothing may go, what matters stays, and what is left opens as any model does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small
import torch

from models.common.checkpoint import open_model
from models.common.errors import WeightsError
from models.network.config import GroundedConfig
from models.network.grounded import GroundedForCausalLM
from models.systems import prune
from models.training.objective import loss


def test_where_nothing_goes_nothing_changes() -> None:
    model = small.grounded()
    small.assert_same(small.outputs(prune.prune(model, 0.0, 0.0)), small.outputs(model))


@pytest.mark.parametrize(("heads", "channels"), [(0.5, 0.0), (0.0, 0.5), (0.5, 0.25)])
def test_units_that_write_nothing_may_go(heads: float, channels: float) -> None:
    """Half of the heads and a quarter of the channels, others in each layer."""
    model = small.grounded()
    weights = dict(model.named_parameters())
    for make, share in ((prune.heads, heads), (prune.channels, channels)):
        for units in make(model.config):
            name, axes = units.out, units.axes[units.out]
            weight = weights[name].data
            parted = units.parted(weight, axes).clone()  # (P, U, ...)
            for part in parted:
                part[torch.randperm(units.number)[: int(share * units.number)]] = 0
            weight.copy_(units.joined(parted, axes))
    made = prune.prune(model, heads, channels)
    assert made.num_parameters() < model.num_parameters()
    small.assert_same(small.outputs(made), small.outputs(model))
    other = prune.prune(small.grounded(), heads, channels)  # with these units in their place something is lost
    pairs = zip(small.outputs(other), small.outputs(small.grounded()), strict=True)
    assert all((one - two).abs().max() > 1e-2 for one, two in pairs)


def test_importance_is_how_fast_the_loss_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCHES", 1)
    model, questions = small.reader(), small.questions(tmp_path)
    found = prune.importance(model, tmp_path)
    batch = questions.batch(questions.order(prune.TOKENS, 0, 0)[0])
    assert all(bool((found[units.out] > 0).all()) for units in prune.heads(model.config))
    for units in [*prune.heads(model.config), *prune.channels(model.config)]:
        name, axes = units.out, units.axes[units.out]
        gate = torch.ones(units.parts, units.number, requires_grad=True)
        weight = model.get_parameter(name).detach()
        gated = units.joined(
            units.parted(weight, axes) * gate.view(*gate.shape, *[1] * (weight.ndim - len(axes) + 1)), axes
        )
        with torch.nn.utils.stateless._reparametrize_module(model, {name: gated}):
            gradient = torch.autograd.grad(loss(model, batch)["loss"], gate)[0]
        torch.testing.assert_close(found[name], gradient.abs(), rtol=1e-3, atol=1e-6)


def test_the_command_leaves_a_model_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.questions(tmp_path / "data")
    small.reader().save_pretrained(tmp_path / "model")
    prune.main([
        "--model", str(tmp_path / "model"), "--heads", "0.5", "--channels", "0.3", "--data", str(tmp_path / "data"),
        "--out", str(tmp_path / "out" / "it"), "--json",
    ])
    told = json.loads(capsys.readouterr().out)
    assert told["left"] < told["weights"] and (told["memory_heads"], told["queries"]) == (2, 2)
    # of 48, 48 and 8, at most 0.3 gone
    assert (told["memory_channels"], told["channels"], told["expert_channels"]) == (34, 34, 6)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["it"]
    model = open_model(GroundedForCausalLM, tmp_path / "out" / "it")
    assert sum(weight.numel() for weight in model.parameters()) == told["left"]
    assert model.memory.bert.encoder.layer[3].attention.self.query.weight.shape == (16, 32)
    again = prune.prune(model, 0.5, 0.0)  # a pruned model can be pruned
    assert again.config.memory_heads == 1 and len(small.outputs(again)) == 6


def test_what_cannot_be_pruned_is_one_line(tmp_path: Path) -> None:
    small.grounded().save_pretrained(tmp_path / "model")
    arguments = ["--model", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
    for wrong, says in (
        (["--heads", "1"], "--heads is a share"),
        (["--channels", "-0.1"], "--channels is a share"),
        (["--model", str(tmp_path)], "holds no"),
    ):
        with pytest.raises(WeightsError, match=says):
            prune.main([*arguments, *wrong])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (tmp_path / "out").mkdir()
    with pytest.raises(WeightsError, match="is there already"):
        prune.main(arguments)
    odd = GroundedConfig(
        hidden_size=32, num_attention_heads=4, num_key_value_heads=1, num_hidden_layers=1, cross_attention_layers=[0]
    )
    with pytest.raises(WeightsError, match="leaves the decoder 3 queries"):
        prune.pruned_config(odd, 0.25, 0.0)


def test_more_heads_than_there_are_is_no_configuration() -> None:
    with pytest.raises(Exception, match="memory_heads 13"):
        GroundedConfig(memory_heads=13)
