"""The counted operations are those that torch counts."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.network.config import embedded
from models.network.memory_encoder import MemoryEncoder
from models.reader import flops


@torch.no_grad()
def test_the_count_is_torchs() -> None:
    config = embedded()
    config.memory_expert_size = 0  # plain text has no expert; here it is multiplied with zeros
    config.memory_config._attn_implementation = "eager"  # the counter knows no fused attention of a CPU
    memory = MemoryEncoder(config)
    question, block = torch.ones(1, 16, dtype=torch.long), torch.ones(1, 200, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        lower = memory.lower(question, torch.ones_like(question)), memory.lower(block, torch.ones_like(block))
        memory.live(
            lower[0], torch.ones_like(question), lower[1], torch.ones_like(block),
            torch.zeros(1, 216, dtype=torch.long), torch.zeros(1, dtype=torch.long),
        )
    cached = config.memory_cached_layers
    expected = flops.layers(cached, 16) + flops.layers(cached, 200) + flops.layers(flops.LAYERS - cached, 216)
    assert 1 <= counter.get_total_flops() / expected < 1.01  # and the heads
