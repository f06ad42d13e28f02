"""The counted operations are those that torch counts."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from models import flops
from models.config import embedded
from models.memory import MemoryEncoder


@torch.no_grad()
def test_the_count_is_torchs() -> None:
    config = embedded()
    config.memory_config._attn_implementation = "eager"  # the counter knows no fused attention of a CPU
    memory = MemoryEncoder(config)
    question, block = torch.ones(1, 16, dtype=torch.long), torch.ones(1, 200, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        lower = memory.lower(question, torch.ones_like(question)), memory.lower(block, torch.ones_like(block))
        memory.live(lower[0], torch.ones_like(question), lower[1], torch.ones_like(block), torch.zeros(1, 216, dtype=torch.long))
    expected = flops.reading(16, 200, cached_layers=config.memory_cached_layers) + flops.layers(config.memory_cached_layers, 16)
    assert 1 <= counter.get_total_flops() / expected < 1.01  # and the heads
    assert flops.reading(16, 200, cached_layers=2, kept=True) == flops.layers(4, 216)
