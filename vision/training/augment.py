"""What training changes of a picture so that no two epochs see the same one: place, colours, paper."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from vision.tower_input import MEAN, STD


def varied(squares: torch.Tensor, drawn: torch.Tensor, size: int) -> torch.Tensor:
    """squares (B, S, S, 4) uint8 RGBA, drawn (B,) bool: of one colour, as icons are, -> (B, 3, size, size), normalised."""
    with torch.device(squares.device):  # what is drawn by chance too
        values = squares.permute(0, 3, 1, 2).float() / 255
        values = _moved(values, size)
        colour, alpha = values[:, :3] / values[:, 3:].clamp(min=1e-3), values[:, 3:]
        tinted = drawn & (torch.rand(len(drawn)) < 0.5)
        colour = torch.where(tinted[:, None, None, None], torch.rand(len(drawn), 3, 1, 1) * 0.8, colour)
        values = _jittered(colour.clamp(0, 1) * alpha + _paper(len(drawn)) * (1 - alpha))
        return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def plain(squares: torch.Tensor, size: int) -> torch.Tensor:
    """The same without change, on white: what the tower sees when it is used."""
    with torch.device(squares.device):
        values = squares.permute(0, 3, 1, 2).float() / 255
        values = functional.interpolate(values, (size, size), mode="bilinear", antialias=True)
        on_white = values[:, :3] * values[:, 3:] + 1 - values[:, 3:]
        return (on_white - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def _moved(values: torch.Tensor, size: int) -> torch.Tensor:
    """Turned a little, stretched, cut out or made smaller; with the colours times alpha, so that edges do not darken."""
    count = len(values)
    angle = (torch.rand(count) - 0.5) * math.radians(16) * (torch.rand(count) < 0.5)
    zoom = torch.exp((torch.rand(count) - 0.6) * 0.5)  # below 1 a part is seen
    stretch = torch.exp((torch.rand(count) - 0.5) * 0.3)
    shift = (torch.rand(count, 2) - 0.5) * 0.2
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack([torch.stack([zoom * stretch * cos, -zoom * sin, shift[:, 0]], 1), torch.stack([zoom * sin, zoom / stretch * cos, shift[:, 1]], 1)], 1)
    values = torch.cat([values[:, :3] * values[:, 3:], values[:, 3:]], 1)
    return functional.grid_sample(values, functional.affine_grid(theta, [count, 4, size, size], align_corners=False), align_corners=False)


def _paper(count: int) -> torch.Tensor:
    """What a picture stands on: white, mostly."""
    kind = torch.rand(count)[:, None, None, None]
    light, any_colour = 0.8 + 0.2 * torch.rand(count, 3, 1, 1), torch.rand(count, 3, 1, 1)
    return torch.where(kind < 0.7, torch.ones(count, 3, 1, 1), torch.where(kind < 0.9, light, any_colour))


def _jittered(values: torch.Tensor) -> torch.Tensor:
    count = len(values)
    brightness, contrast = (1 + (torch.rand(2, count, 1, 1, 1) - 0.5) * 0.5).unbind(0)
    grey = values.mean(1, keepdim=True)
    saturation = torch.where(torch.rand(count, 1, 1, 1) < 0.15, torch.zeros(()), 1 + (torch.rand(count, 1, 1, 1) - 0.5) * 0.6)
    values = grey + (values - grey) * saturation
    mean = values.mean((1, 2, 3), keepdim=True)
    return ((values - mean) * contrast + mean * brightness).clamp(0, 1)
