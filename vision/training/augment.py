"""Augmentation of a batch: position, scale, colours and background of its images are drawn anew each time.

In: RGBA images. Out: the tower's normalised input. Draws from torch's generator of the images' device.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from vision.tower_input import MEAN, STD


def augmented(images: torch.Tensor, monochrome: torch.Tensor, size: int) -> torch.Tensor:
    """Images (B, S, S, 4) uint8 RGBA -> (B, 3, size, size), normalised.

    monochrome: (B,) bool, icons and the like: half of these get another colour.
    """
    with torch.device(images.device):  # random numbers are drawn there too
        values = _transformed(images.permute(0, 3, 1, 2).float() / 255, size)
        colour, alpha = values[:, :3] / values[:, 3:].clamp(min=1e-3), values[:, 3:]
        tinted = monochrome & (torch.rand(len(images)) < 0.5)
        colour = torch.where(tinted[:, None, None, None], torch.rand(len(images), 3, 1, 1) * 0.8, colour)
        return _normalised(_jittered(colour.clamp(0, 1) * alpha + _backgrounds(len(images)) * (1 - alpha)))


def on_white(images: torch.Tensor, size: int) -> torch.Tensor:
    """The same without augmentation, on white, as vision.tower_input.pixels makes the tower's input."""
    with torch.device(images.device):
        values = images.permute(0, 3, 1, 2).float() / 255
        values = functional.interpolate(values, (size, size), mode="bilinear", antialias=True)
        return _normalised(values[:, :3] * values[:, 3:] + 1 - values[:, 3:])


def _normalised(values: torch.Tensor) -> torch.Tensor:
    return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def _transformed(values: torch.Tensor, size: int) -> torch.Tensor:
    """(B, 4, S, S) -> (B, 4, size, size), rotated by at most 8 degrees, stretched, zoomed and shifted.

    Colours are multiplied by alpha first, so that edges do not darken.
    """
    count = len(values)
    angle = (torch.rand(count) - 0.5) * math.radians(16) * (torch.rand(count) < 0.5)
    zoom = torch.exp((torch.rand(count) - 0.6) * 0.5)  # below 1 the edges are cut off
    stretch = torch.exp((torch.rand(count) - 0.5) * 0.3)
    shift = (torch.rand(count, 2) - 0.5) * 0.2
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = (zoom * stretch * cos, -zoom * sin, shift[:, 0]), (zoom * sin, zoom / stretch * cos, shift[:, 1])
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (B, 2, 3)
    values = torch.cat([values[:, :3] * values[:, 3:], values[:, 3:]], 1)
    grid = functional.affine_grid(theta, [count, 4, size, size], align_corners=False)
    return functional.grid_sample(values, grid, align_corners=False)


def _backgrounds(count: int) -> torch.Tensor:
    """(B, 3, 1, 1): 70% white, 20% a light colour, 10% any colour."""
    kind = torch.rand(count)[:, None, None, None]
    light, any_colour = 0.8 + 0.2 * torch.rand(count, 3, 1, 1), torch.rand(count, 3, 1, 1)
    return torch.where(kind < 0.7, torch.ones(count, 3, 1, 1), torch.where(kind < 0.9, light, any_colour))


def _jittered(values: torch.Tensor) -> torch.Tensor:
    """Colour jitter: brightness, contrast and saturation; 15% become grey."""
    count = len(values)
    brightness, contrast = (1 + (torch.rand(2, count, 1, 1, 1) - 0.5) * 0.5).unbind(0)
    grey = values.mean(1, keepdim=True)
    without_colour = torch.rand(count, 1, 1, 1) < 0.15
    saturation = torch.where(without_colour, torch.zeros(()), 1 + (torch.rand(count, 1, 1, 1) - 0.5) * 0.6)
    values = grey + (values - grey) * saturation
    mean = values.mean((1, 2, 3), keepdim=True)
    return ((values - mean) * contrast + mean * brightness).clamp(0, 1)
