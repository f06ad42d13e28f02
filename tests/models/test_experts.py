"""Experts: what each adds, to whom, and that nothing else changes a block's way."""

from __future__ import annotations

import pytest
import torch

from models.config import tiny
from models.experts import Experts
from models.grid import PLACES, Kind
from models.memory import Live, MemoryEncoder


@pytest.fixture(scope="module")
def memory() -> MemoryEncoder:
    torch.manual_seed(0)
    made = MemoryEncoder(tiny()).eval()
    for experts in made.experts:
        torch.nn.init.normal_(experts.up, std=0.5)
    return made


@torch.no_grad()
def live(memory: MemoryEncoder, ids: torch.Tensor, kinds: list[Kind]) -> Live:
    """Blocks ids (N, T) of these kinds under one question."""
    mask, question = torch.ones_like(ids), torch.full((len(ids), 3), 5)
    lower = memory.lower(ids, mask, torch.zeros(*ids.shape, PLACES, dtype=torch.long))
    asked = memory.lower(question, torch.ones_like(question))
    return memory.live(asked, torch.ones_like(question), lower, mask, torch.zeros(len(ids), 3 + ids.shape[1], dtype=torch.long), torch.tensor(kinds))


def test_experts_begin_by_adding_nothing_and_text_has_none() -> None:
    experts, states = Experts(8, 4), torch.randn(3, 5, 8)
    assert not experts(states, torch.tensor(list(Kind))).any()
    torch.nn.init.normal_(experts.up)
    added = experts(states, torch.tensor(list(Kind)))
    assert not added[Kind.TEXT].any() and added[Kind.TABLE].any() and added[Kind.PAGE].any()


def test_a_blocks_way_depends_on_its_kind_and_not_on_its_batch(memory: MemoryEncoder) -> None:
    ids = torch.randint(3, 97, (3, 7))
    together = live(memory, ids, list(Kind))
    for at, one in enumerate(Kind):
        alone = live(memory, ids[at : at + 1], [one])
        torch.testing.assert_close(alone.states, together.states[at : at + 1], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(alone.looks, together.looks[at : at + 1], atol=1e-5, rtol=1e-5)
        others = [live(memory, ids[at : at + 1], [kind]).states for kind in Kind if kind is not one]
        assert all((alone.states - other).abs().max() > 1e-2 for other in others)


def test_only_the_expert_of_its_kind_learns(memory: MemoryEncoder) -> None:
    memory.zero_grad()
    ids = torch.randint(3, 97, (2, 7))
    mask = torch.ones_like(ids)
    lower = memory.lower(ids, mask, torch.zeros(*ids.shape, PLACES, dtype=torch.long))
    memory.cached(lower, mask, torch.tensor([Kind.TABLE, Kind.TEXT])).sum().backward()
    for experts in memory.experts:
        assert experts.up.grad[Kind.TABLE - 1].any() and not experts.up.grad[Kind.PAGE - 1].any()
