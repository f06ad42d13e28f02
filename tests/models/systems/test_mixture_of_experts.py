"""Mixture of experts: upcycled it says what the dense model said, and a token's way is its own."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from grounded_batch import batch_of
from torch.utils.flop_counter import FlopCounterMode

from models.common.checkpoint import open_model
from models.common.errors import WeightsError
from models.network.config import settings, tiny
from models.network.grounded import GroundedForCausalLM
from models.reader.coordinates import BlockModality
from models.systems import upcycle
from models.systems.mixture_of_experts import (
    COUNTED,
    Mixture,
    MixtureOfExpertsConfig,
    MixtureOfExpertsForCausalLM,
    active_weights,
    balance,
    chosen,
    loads,
)
from models.training.objective import PADDING, SHARES, loss, modalities, recall, writing

PROMPT = torch.tensor([[1, 40, 41, 42, 2]])
MIXED = {"num_local_experts": 4, "num_experts_per_tok": 2}


def configured(**more: int) -> MixtureOfExpertsConfig:
    return MixtureOfExpertsConfig.from_dict(settings(tiny()) | more)


@pytest.fixture(scope="module")
def dense() -> GroundedForCausalLM:
    torch.manual_seed(0)
    made = GroundedForCausalLM(tiny()).eval()
    for weight in made.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return made


def mixed(null: int = 0) -> GroundedForCausalLM:
    torch.manual_seed(1)
    made = MixtureOfExpertsForCausalLM(configured(**MIXED, num_null_experts=null)).eval()
    for weight in made.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return made


def implemented(model: GroundedForCausalLM, by: str) -> GroundedForCausalLM:
    made = deepcopy(model)
    made.config._experts_implementation = by
    return made


@torch.no_grad()
@pytest.mark.parametrize("null", [0, 3])
def test_upcycled_it_says_what_the_dense_model_said(dense: GroundedForCausalLM, null: int) -> None:
    memory = recall(dense, batch_of(dense))[0].inputs()
    ids = PROMPT.expand(len(memory["memory_ids"]), -1)
    made = upcycle.upcycled(dense, 4, 2, null).eval()
    torch.testing.assert_close(made(ids, **memory).logits, dense(ids, **memory).logits, atol=1e-5, rtol=1e-5)
    torch.nn.init.zeros_(made.model.layers[0].mlp.experts.down_proj)
    assert (made(ids, **memory).logits - dense(ids, **memory).logits).abs().max() > 1e-2


@pytest.mark.parametrize("null", [0, 3])
def test_weights_sum_to_one_and_null_experts_have_none(null: int) -> None:
    mixture = mixed(null).model.layers[0].mlp
    _, weights, index = mixture.router(torch.randn(200, 32))
    torch.testing.assert_close(weights.sum(1), torch.ones(200))
    assert ((index == 4) == (weights == 0)).all() and (index == 4).any() == (null > 0) and (index[:, 0] < 4).all()
    real = [row[row < 4].tolist() for row in index]
    assert all(len(set(row)) == len(row) for row in real)


@pytest.mark.parametrize("null", [0, 3])
@pytest.mark.parametrize("by", ["grouped_mm", "batched_mm"])
def test_all_ways_of_computing_experts_agree(by: str, null: int) -> None:
    states = torch.randn(2, 9, 32)
    made = []
    for one in ("eager", by):
        mixture = implemented(mixed(null), one).model.layers[0].mlp
        seen = states.clone().requires_grad_()
        out = mixture(seen)
        out.square().sum().backward()
        made.append([out.detach(), seen.grad, *(weight.grad for weight in mixture.parameters())])
    for mine, theirs in zip(*made, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("by", ["eager", "grouped_mm"])
def test_an_expert_that_no_token_goes_to_gets_no_gradient(by: str) -> None:
    mixture = implemented(mixed(), by).model.layers[0].mlp
    states = torch.randn(1, 1, 32)
    used = set(mixture.router(states[0])[2].unique().tolist())
    mixture(states).square().sum().backward()
    for weight in mixture.experts.parameters():
        assert {at for at in range(4) if weight.grad[at].any()} == used < {0, 1, 2, 3}
    assert mixture.router.weight.grad.any()


@torch.no_grad()
def test_a_tokens_way_depends_on_nothing_that_follows_and_not_on_its_batch() -> None:
    model = mixed(3)
    ids = torch.randint(3, 97, (4, 12))
    whole = model.model(ids).router_logits
    assert len(whole) == 3
    begun = model.model(ids[:, :7]).router_logits
    alone = model.model(ids[2:3]).router_logits
    for mine, prefix, one in zip(whole, begun, alone, strict=True):
        way = chosen(mine, 4, 2).view(4, 12, 2)
        assert torch.equal(way[:, :7].flatten(0, 1), chosen(prefix, 4, 2)) and torch.equal(way[2], chosen(one, 4, 2))


@torch.no_grad()
def test_cached_decoding_is_uncached_decoding() -> None:
    model = mixed(3)
    memory = recall(model, batch_of(model))[0].inputs()
    ids = torch.randint(3, 97, (len(memory["memory_ids"]), 5))
    options = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, **memory}
    written = model.generate(ids, **options)
    for _ in range(5):
        ids = torch.cat((ids, model(ids, **memory).logits[:, -1:].argmax(-1)), 1)
    assert torch.equal(written, ids)


def test_the_balance_is_least_where_experts_are_chosen_evenly() -> None:
    config = configured(num_local_experts=4, num_experts_per_tok=1)
    even = 5 * torch.eye(4).repeat(6, 1)  # (24, 4)
    one = 5 * torch.eye(4)[:1].expand(24, 4)
    kinds = torch.zeros(24, dtype=torch.long)
    assert balance([even], kinds, config).item() == pytest.approx(1.0)
    assert balance([one], kinds, config).item() > 3
    assert loads(even, config).tolist() == [0.25] * 4 and loads(one, config).tolist() == [1, 0, 0, 0]
    # each modality has its own balance: even over both, but neither is
    apart = torch.cat((even[::2][:2].repeat(6, 1), even[1::2][:2].repeat(6, 1)))
    two = torch.tensor([BlockModality.TEXT] * 12 + [BlockModality.TABLE] * 12)
    assert balance([apart], kinds, config).item() == pytest.approx(1.0)
    assert balance([apart], two, config).item() > 1.5 * 1.9
    assert balance([torch.cat((even, one))], torch.cat((kinds, kinds + PADDING)), config).item() == pytest.approx(1.0)


def test_training_balances_and_learns() -> None:
    model = mixed(2).train()
    batch = batch_of(model)
    parts = loss(model, batch)
    assert {"balance", "answer", "span"} <= set(parts) <= {*SHARES, "loss", "through"}
    assert set(modalities(batch).tolist()) == {PADDING, BlockModality.TEXT, BlockModality.TABLE}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    first = writing(model, batch)
    for _ in range(25):
        optimizer.zero_grad()
        writing(model, batch)["loss"].backward()
        optimizer.step()
    last = writing(model, batch)
    assert last["answer"] < 0.7 * first["answer"]
    assert "balance" not in loss(GroundedForCausalLM(tiny()), batch)


@torch.no_grad()
def test_the_counted_operations_are_those_of_the_tokens_that_are_computed() -> None:
    mixture = implemented(mixed(3), "grouped_mm").model.layers[0].mlp
    states = torch.randn(1, 50, 32)
    with FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
        mixture(states)
    computed = int((mixture.router(states[0])[2] < 4).sum())
    assert 50 < computed < 100
    assert counter.get_total_flops() == computed * 2 * 3 * 32 * 48 + 2 * 50 * 32 * 7  # three matrices, and the router


def test_the_counted_operations_of_a_backward_pass_are_twice_those_of_a_forward_pass() -> None:
    mixture = implemented(mixed(), "grouped_mm").model.layers[0].mlp
    with FlopCounterMode(display=False, custom_mapping=COUNTED) as forward:
        out = mixture(torch.randn(1, 50, 32, requires_grad=True))
    with FlopCounterMode(display=False, custom_mapping=COUNTED) as backward:
        out.sum().backward()
    assert backward.get_total_flops() == 2 * forward.get_total_flops()


def test_the_command_writes_a_model_that_is_the_dense_one(
    dense: GroundedForCausalLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dense.save_pretrained(tmp_path / "dense")
    asked = [
        "--experts", "4", "--active", "2", "--model", str(tmp_path / "dense"), "--out", str(tmp_path / "out" / "mixed"),
        "--json",
    ]
    upcycle.main(asked)
    told = json.loads(capsys.readouterr().out)
    made = open_model(GroundedForCausalLM, tmp_path / "out" / "mixed").eval()
    assert isinstance(made, MixtureOfExpertsForCausalLM)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mixed"]
    count = sum(weight.numel() for weight in made.parameters())
    assert told == {"weights": count, "active": active_weights(made)} and count - told["active"] == 3 * 2 * 3 * 32 * 48
    assert sum(isinstance(module, Mixture) for module in made.modules()) == 3
    with torch.no_grad():
        torch.testing.assert_close(made(PROMPT).logits, dense(PROMPT).logits, atol=1e-5, rtol=1e-5)
    with pytest.raises(WeightsError, match="is there already"):
        upcycle.main(asked)
    asked[asked.index("--model") + 1], asked[asked.index("--out") + 1] = (
        str(tmp_path / "out" / "mixed"),
        str(tmp_path / "again"),
    )
    with pytest.raises(WeightsError, match="has experts already"):
        upcycle.main(asked)


@pytest.mark.parametrize(
    ("experts", "active", "null", "says"),
    [(2, 3, 0, "3 of 2 experts"), (4, 0, 0, "0 of 4 experts"), (4, 2, -1, "-1 null"), (4, 1, 2, "--active 2 or more")],
)
def test_what_cannot_be_upcycled_is_one_line(
    dense: GroundedForCausalLM, experts: int, active: int, null: int, says: str
) -> None:
    with pytest.raises(WeightsError, match=says):
        upcycle.upcycled(dense, experts, active, null)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(Exception, match="num_experts_per_tok"):
        configured(num_local_experts=2, num_experts_per_tok=3)
