"""What the image tower learns: a picture lies near its own text and far from the texts of others (CLIP, arXiv 2103.00020), texts being fixed.

Texts of one batch may say nearly the same; how alike they are gives each picture its share of theirs too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from vision.tower_input import TowerConfig
from vision.training.augment import varied
from vision.training.tower import make

if TYPE_CHECKING:
    from vision.training.train import Batch

SHARP = 0.05  # temperature of the shares
HOTTEST = 50.0  # of the scale of similarities


class Learner(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config, self.tower = config, make(config)
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self._run: Callable[[torch.Tensor], torch.Tensor] = self.tower.forward

    def compile_tower(self) -> None:
        """Whole, for batches of one size: three times as fast on a CPU, after minutes. Measuring stays uncompiled."""
        self._run = torch.compile(self.tower.forward, dynamic=False)

    def activation_checkpointing_enable(self, options: dict[str, bool]) -> None:
        """As of a transformers model; `options` are open_clip's own (not reentrant)."""
        self.tower.set_grad_checkpointing()

    def forward(self, squares: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit vectors (B, output), and by how much their similarities count."""
        with torch.no_grad():
            seen = varied(squares, drawn, self.config.size)
        return functional.normalize(self._run(seen).float(), dim=-1), self.scale.exp().clamp(max=HOTTEST)


def loss(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
    vectors, scale = model(batch.squares, batch.drawn)
    with torch.autocast(vectors.device.type, enabled=False):
        logits = scale * vectors @ batch.texts.T
        shares = torch.softmax(batch.texts @ batch.texts.T / SHARP, 1)
        cross = -(shares * (torch.log_softmax(logits, 1) + torch.log_softmax(logits.T, 1))).sum(1).mean() / 2
    right = (logits.argmax(1) == torch.arange(len(logits), device=logits.device)).float().mean()
    return {"loss": cross, "right": right, "scale": scale.detach()}
