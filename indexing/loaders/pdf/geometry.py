"""Boxes (x0, y0, x1, y1) of a page with y downwards: in points, or in page units (0..1). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from indexing.types import Box


def middle_x(box: Box) -> float:
    return (box[0] + box[2]) / 2


def middle_y(box: Box) -> float:
    return (box[1] + box[3]) / 2


def shorter_side(box: Box) -> float:
    return min(box[2] - box[0], box[3] - box[1])


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def covers(box: Box, other: Box) -> bool:
    """Whether the middle of `other` is in the box."""
    return box[0] <= middle_x(other) <= box[2] and box[1] <= middle_y(other) <= box[3]


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes overlap."""
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


def around(boxes: Iterable[Box]) -> Box:
    """The smallest box around all of them; at least one."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def to_unit(box: Box, width: float, height: float) -> Box:
    """Points -> page units, cut at the edges of the page."""
    values = (value / size for value, size in zip(box, (width, height) * 2, strict=True))
    left, top, right, bottom = (round(min(max(value, 0.0), 1.0), 5) for value in values)
    return left, top, right, bottom


def to_points(box: Box, width: float, height: float) -> Box:
    """Page units -> points."""
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height
