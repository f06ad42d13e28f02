"""The image tower's loss: contrastive (CLIP, arXiv 2103.00020), the text side frozen (LiT, arXiv 2111.07991).

Texts of one batch may mean nearly the same, so the targets are soft: a softmax over the similarities of the texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from vision.tower_input import TowerConfig
from vision.training.augment import augmented
from vision.training.tower import make

if TYPE_CHECKING:
    from vision.training.batches import Batch

TARGET_TEMPERATURE = 0.05  # of the softmax that makes the targets
FIRST_SCALE = 1 / 0.07  # of the logits, learnt from here on, as in CLIP
LARGEST_SCALE = 50.0


class ContrastiveTower(nn.Module):
    """The tower with its augmentation and the learnt scale of the logits."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config, self.tower = config, make(config)
        self.scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        self._run: Callable[[torch.Tensor], torch.Tensor] = self.tower.forward

    def compile_tower(self) -> None:
        """Compile the tower for batches of one size: three times as fast on a CPU, after minutes of compiling.

        Evaluation calls the tower itself, which is not compiled.
        """
        self._run = torch.compile(self.tower.forward, dynamic=False)

    def activation_checkpointing_enable(self, options: dict[str, bool]) -> None:
        """As a transformers model's method of this name; open_clip has options of its own (not reentrant)."""
        self.tower.set_grad_checkpointing()

    def forward(self, images: torch.Tensor, monochrome: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch's images (B, S, S, 4) -> embeddings (B, output) of unit length, and the scale of the logits ()."""
        with torch.no_grad():
            inputs = augmented(images, monochrome, self.config.size)  # (B, 3, size, size)
        embeddings = functional.normalize(self._run(inputs).float(), dim=-1)
        return embeddings, self.scale.exp().clamp(max=LARGEST_SCALE)


def loss(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
    """Symmetric cross-entropy over the batch; `right` is the share of images whose own text is the nearest."""
    embeddings, scale = model(batch.images, batch.monochrome)
    with torch.autocast(embeddings.device.type, enabled=False):
        logits = scale * embeddings @ batch.texts.T  # (B, B)
        targets = torch.softmax(batch.texts @ batch.texts.T / TARGET_TEMPERATURE, 1)
        cross = -(targets * (torch.log_softmax(logits, 1) + torch.log_softmax(logits.T, 1))).sum(1).mean() / 2
    right = (logits.argmax(1) == torch.arange(len(logits), device=logits.device)).float().mean()
    return {"loss": cross, "right": right, "scale": scale.detach()}
