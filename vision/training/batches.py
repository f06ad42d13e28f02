"""Batches of images, each with one of its texts. In: vision.training.prepare.Prepared. Out: tensors on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from vision.training.prepare import Prepared

IMAGES = 256  # in a batch


@dataclass(frozen=True, slots=True)
class Batch:
    """images (B, S, S, 4) uint8 RGBA, monochrome (B,) bool: drawn in one colour, texts (B, d) float32 embeddings."""

    images: torch.Tensor
    monochrome: torch.Tensor
    texts: torch.Tensor

    def to(self, device: torch.device | str) -> Batch:
        return Batch(self.images.to(device), self.monochrome.to(device), self.texts.to(device))


class Epoch(Sequence):
    """The batches of one epoch, each made when it is asked for. Seed and epoch fix the order and the texts."""

    def __init__(self, prepared: Prepared, seed: int, epoch: int) -> None:
        self._prepared, rng = prepared, np.random.default_rng((seed, epoch))
        chosen = rng.permutation(prepared.chosen("train"))
        first = prepared.first
        self._texts = first[chosen] + (rng.random(len(chosen)) * (first[chosen + 1] - first[chosen])).astype(int)
        self._images = chosen

    def __len__(self) -> int:
        return len(self._images) // IMAGES or 1

    def __getitem__(self, at: int) -> Batch:
        import torch

        part = slice(at * IMAGES, (at + 1) * IMAGES)
        chosen = self._images[part]
        images = torch.from_numpy(self._prepared.pictures[chosen])
        monochrome = torch.tensor([self._prepared.about[one]["kind"] == "icon" for one in chosen])
        texts = torch.from_numpy(self._prepared.texts[self._texts[part]].astype(np.float32))
        return Batch(images, monochrome, texts)
