"""Experts: what each adds, to whom, and that nothing else changes a block's way."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from models.network.config import tiny
from models.network.experts import Experts
from models.network.memory_encoder import Live, MemoryEncoder
from models.reader.coordinates import PLACES, BlockModality


@pytest.fixture(scope="module")
def memory() -> MemoryEncoder:
    torch.manual_seed(0)
    made = MemoryEncoder(tiny()).eval()
    for experts in made.experts:
        torch.nn.init.normal_(experts.up, std=0.5)
    return made


@torch.no_grad()
def live(memory: MemoryEncoder, ids: torch.Tensor, kinds: list[BlockModality]) -> Live:
    """Blocks ids (N, T) of these kinds under one question."""
    mask, question = torch.ones_like(ids), torch.full((len(ids), 3), 5)
    lower = memory.lower(ids, mask, torch.zeros(*ids.shape, PLACES, dtype=torch.long))
    asked = memory.lower(question, torch.ones_like(question))
    return memory.live(
        asked, torch.ones_like(question), lower, mask, torch.zeros(len(ids), 3 + ids.shape[1], dtype=torch.long),
        torch.tensor(kinds),
    )


def test_experts_begin_by_adding_nothing_and_text_has_none() -> None:
    experts, states = Experts(8, 4), torch.randn(3, 5, 8)
    assert not experts(states, torch.tensor(list(BlockModality))).any()
    torch.nn.init.normal_(experts.up)
    added = experts(states, torch.tensor(list(BlockModality)))
    assert not added[BlockModality.TEXT].any() and added[BlockModality.TABLE].any() and added[BlockModality.PAGE].any()


def test_a_blocks_way_depends_on_its_kind_and_not_on_its_batch(memory: MemoryEncoder) -> None:
    ids = torch.randint(3, 97, (3, 7))
    together = live(memory, ids, list(BlockModality))
    for at, one in enumerate(BlockModality):
        alone = live(memory, ids[at : at + 1], [one])
        torch.testing.assert_close(alone.states, together.states[at : at + 1], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(alone.judged, together.judged[at : at + 1], atol=1e-5, rtol=1e-5)
        others = [live(memory, ids[at : at + 1], [kind]).states for kind in BlockModality if kind is not one]
        assert all((alone.states - other).abs().max() > 1e-2 for other in others)


@pytest.fixture
def routed() -> MemoryEncoder:
    torch.manual_seed(1)
    made = MemoryEncoder(replace(tiny(), memory_routed=True)).eval()
    for router in made.routers:
        torch.nn.init.normal_(router.weight)
    return made


def test_routing_begins_by_changing_nothing(memory: MemoryEncoder) -> None:
    ids = torch.randint(3, 97, (2, 7))
    before = live(memory, ids, [BlockModality.TEXT, BlockModality.PAGE])
    other = deepcopy(memory)
    other.route()
    after = live(other, ids, [BlockModality.TEXT, BlockModality.PAGE])
    assert torch.equal(before.spans, after.spans) and after.through.all()


def test_what_a_token_goes_through_depends_on_its_block_alone(routed: MemoryEncoder) -> None:
    ids = torch.randint(3, 97, (4, 9))
    together = live(routed, ids, [BlockModality.TEXT] * 4)
    assert 0.1 < together.through.mean() < 0.9
    for at in range(4):
        assert torch.equal(live(routed, ids[at : at + 1], [BlockModality.TEXT]).through[0], together.through[at])


def test_a_null_expert_adds_nothing_and_the_router_learns(routed: MemoryEncoder) -> None:
    layer, states = routed.bert.encoder.layer[2], torch.randn(1, 6, 32)
    router = routed.routers[0]
    made, through = layer(states, None, torch.tensor([BlockModality.TABLE]), routed.experts[0], router)
    attended = layer.attention(states, None)[0]
    null = through[0] == 0
    assert null.any() and not null.all()
    torch.testing.assert_close(made[0, null], layer.output.LayerNorm(attended)[0, null])
    assert (made[0, ~null] - layer.output.LayerNorm(attended)[0, ~null]).abs().amax(-1).min() > 1e-3
    through.sum().backward()
    assert router.weight.grad.abs().min() > 0


def test_only_the_expert_of_its_kind_learns(memory: MemoryEncoder) -> None:
    memory.zero_grad()
    ids = torch.randint(3, 97, (2, 7))
    mask = torch.ones_like(ids)
    lower = memory.lower(ids, mask, torch.zeros(*ids.shape, PLACES, dtype=torch.long))
    memory.cached(lower, mask, torch.tensor([BlockModality.TABLE, BlockModality.TEXT]))[..., 0].sum().backward()
    for experts in memory.experts:
        assert experts.up.grad[BlockModality.TABLE - 1].any() and not experts.up.grad[BlockModality.PAGE - 1].any()
