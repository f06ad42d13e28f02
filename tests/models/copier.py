"""Grounded models for tests of writing: one with random weights, and one that copies the next word of its memory."""

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
    """Writes the word that follows the last one in memory.

    Only the word's own vector reaches the copy attention, whose keys are the vectors of the word before each slot.
    """
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
    """Memory of one block of these words, with random states."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(1, len(words), model.config.memory_config.hidden_size, generator=generator)
    with torch.no_grad():
        made = model.remember(states, torch.tensor([words]), torch.ones(1, len(words), dtype=torch.long))
    return replace(made, memory_bias=torch.zeros(1, len(words)))
