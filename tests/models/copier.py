"""Grounded models for tests of writing: one with weights of chance, and one that copies what stands in memory behind the word it said last."""

from __future__ import annotations

from dataclasses import replace

import torch

from models.network.config import GroundedConfig, tiny
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Memory
from models.reader.sequences import CLS, SEP

WORDS = 110


def by_chance(seed: int = 0, config: GroundedConfig | None = None) -> GroundedForCausalLM:
    torch.manual_seed(seed)
    model = GroundedForCausalLM(config or tiny(WORDS, CLS, SEP)).eval()
    for weight in model.parameters():  # far from the small start, so that differences show
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return model


def copier(vocabulary: int = WORDS) -> GroundedForCausalLM:
    """Nothing but a word's own vector reaches the copy attention, which looks for the slots whose word before is that one."""
    config = tiny(vocabulary, CLS, SEP)
    config.pointer_size = config.hidden_size
    model = by_chance(config=config)
    silent = ("o_proj.weight", "down_proj.weight", "projector.pointer.weight", "copy.sentinel.weight")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(silent) or name.endswith("pointer.bias"):
                weight.zero_()
        for linear, scale in ((model.copy.query, 300.0), (model.projector.before, 1.0)):
            torch.nn.init.eye_(linear.weight).mul_(scale)
        model.copy.query.bias.zero_()
        model.copy.sentinel.bias.fill_(-1e4)
    return model


def memory(model: GroundedForCausalLM, words: list[int], seed: int = 0) -> Memory:
    """Of one block of these words, in states of chance."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(1, len(words), model.config.memory_config.hidden_size, generator=generator)
    with torch.no_grad():
        made = model.remember(states, torch.tensor([words]), torch.ones(1, len(words), dtype=torch.long))
    return replace(made, memory_bias=torch.zeros(1, len(words)))
