"""Shared keys and values: repeated they change nothing, and alike they may be one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small
import torch

from models.common.checkpoint import open_model
from models.common.errors import WeightsError
from models.network.grounded import GroundedForCausalLM
from models.systems import grouped_query


def test_heads_that_are_repeated_change_nothing() -> None:
    model = small.grounded()
    made = grouped_query.group(model, 4)
    assert (
        made.config.num_key_value_heads == 4
        and made.projector.kv.weight.shape[0] == 2 * model.projector.kv.weight.shape[0]
    )
    small.assert_same(small.outputs(made), small.outputs(model))
    prompt = torch.tensor([[1, 40, 41]])
    assert torch.equal(made.generate(prompt, max_new_tokens=6), model.generate(prompt, max_new_tokens=6))


def test_heads_that_are_alike_may_be_one() -> None:
    """The mean of repeated heads is each of them; the mean of two different heads is neither."""
    one = grouped_query.group(small.grounded(), 1)
    small.assert_same(small.outputs(grouped_query.group(grouped_query.group(one, 4), 1)), small.outputs(one))
    assert (small.outputs(one)[4] - small.outputs(small.grounded())[4]).abs().max() > 1e-2


def test_heads_are_the_mean_of_their_neighbours() -> None:
    assert grouped_query.regrouped(torch.tensor([[1.0], [3.0], [5.0], [9.0]]), 2).tolist() == [[2.0], [7.0]]
    assert grouped_query.regrouped(torch.tensor([[1.0], [3.0]]), 4).tolist() == [[1.0], [1.0], [3.0], [3.0]]
    model = small.grounded()
    made = grouped_query.group(model, 1)
    keys, mine = (one.model.layers[1].self_attn.k_proj.weight for one in (model, made))
    torch.testing.assert_close(mine, (keys[:8] + keys[8:]) / 2)
    memory, mine = (one.projector.kv.weight.view(2, 2, -1, 8, 32) for one in (model, made))  # (L, 2, heads, D, W)
    torch.testing.assert_close(mine[:, :, 0], (memory[:, :, 0] + memory[:, :, 1]) / 2)


def test_the_command_leaves_a_model_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.grounded().save_pretrained(tmp_path / "model")
    grouped_query.main(
        ["--model", str(tmp_path / "model"), "--key-value-heads", "1", "--out", str(tmp_path / "out"), "--json"]
    )
    told = json.loads(capsys.readouterr().out)
    assert told["before"] == {"cache": 3 * 2 * 2 * 8 * 4, "memory": 2 * 2 * 2 * 8 * 4}
    assert {name: 2 * size for name, size in told["after"].items()} == told["before"]
    model = open_model(GroundedForCausalLM, tmp_path / "out").eval()
    cache = model(torch.tensor([[1, 40, 41]]), use_cache=True).past_key_values
    assert (
        sum(part.nbytes for layer in cache.layers for part in (layer.keys, layer.values)) == 3 * told["after"]["cache"]
    )
    small.assert_same(small.outputs(model), small.outputs(grouped_query.group(small.grounded(), 1)))


def test_what_cannot_be_grouped_is_one_line(tmp_path: Path) -> None:
    small.grounded().save_pretrained(tmp_path / "model")
    for number in (0, 3, 8):
        with pytest.raises(WeightsError, match=f"come to share {number}: give one of 1, 2, 4"):
            grouped_query.main(
                ["--model", str(tmp_path / "model"), "--key-value-heads", str(number), "--out", str(tmp_path / "out")]
            )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
