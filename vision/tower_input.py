"""What the image tower sees of a picture: a small square, on white. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

MEAN, STD = (0.78, 0.77, 0.76), (0.30, 0.30, 0.31)  # of the training pictures' channels, on white


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """size: pixels a side of the square that a picture is fitted into; patch: pixels a side that one state stands for."""

    size: int = 112
    patch: int = 16
    width: int = 256
    layers: int = 6
    heads: int = 4
    output: int = 384
    patch_dropout: float = 0.5  # in training only (arXiv 2212.00794)


def square(image: Image, size: int) -> Image:
    """The picture fitted into the middle of a square, what is beside it transparent; RGBA."""
    from PIL import Image as images

    image = image.convert("RGBA")
    scale = size / max(image.size)
    small = image.resize([max(1, round(side * scale)) for side in image.size], images.Resampling.LANCZOS, reducing_gap=3.0)
    canvas = images.new("RGBA", (size, size), (255, 255, 255, 0))
    canvas.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return canvas


def pixels(image: Image, size: int) -> np.ndarray:
    """(3, size, size) float32, on white, normalised."""
    values = np.asarray(square(image, size), np.float32) / 255
    on_white = values[..., :3] * values[..., 3:] + 1 - values[..., 3:]
    return ((on_white - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).transpose(2, 0, 1)
