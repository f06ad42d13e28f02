"""The image tower's preprocessing: an image in, a normalised square of pixels out. Imports no torch.

The tower's configuration stands here too, so that its ONNX graph and its torch module share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

MEAN, STD = (0.78, 0.77, 0.76), (0.30, 0.30, 0.31)  # per channel, of the training images on white


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """size: pixels to a side of the input; patch: pixels to a side of a patch; output: dimension of the embedding."""

    size: int = 112
    patch: int = 16
    width: int = 256
    layers: int = 6
    heads: int = 4
    output: int = 384
    patch_dropout: float = 0.5  # in training only (arXiv 2212.00794)


def square(image: Image, size: int) -> Image:
    """The image scaled to fit a square of `size` pixels, centred; RGBA, transparent beside the image."""
    from PIL import Image as images

    image = image.convert("RGBA")
    scale = size / max(image.size)
    fitted = [max(1, round(side * scale)) for side in image.size]
    small = image.resize(fitted, images.Resampling.LANCZOS, reducing_gap=3.0)
    canvas = images.new("RGBA", (size, size), (255, 255, 255, 0))
    canvas.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return canvas


def pixels(image: Image, size: int) -> np.ndarray:
    """The tower's input of an image: (3, size, size) float32, on white, normalised by MEAN and STD."""
    values = np.asarray(square(image, size), np.float32) / 255
    on_white = values[..., :3] * values[..., 3:] + 1 - values[..., 3:]
    return ((on_white - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).transpose(2, 0, 1)
