"""Figures of a page: what is drawn near "Figure 3: ..." is that figure, with the words that stand in it; so is what is drawn in many strokes without a caption. Pure.

Boxes are in the page's own unit (points), y downwards. What else is drawn without a caption is left alone: logos, rules, backgrounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexing.loaders.layout import Line
from indexing.types import Box

CAPTION = re.compile(
    r"(?i:fig(?:ure|\.)?|chart|graph|diagram|exhibit|map|plate|photo(?:graph)?|image|scheme|illustration|abb(?:ildung|\.)?)"
    r"\s*[A-Z]?\d+(?:[.\-–]\d+)*[a-z]?(?:\s*[.:|–—-](?:\s|$)|\s+(?=[A-Z(\[])|\s*$)"
)  # "Figure 3 shows" is none
CELL = 6.0  # points; what is nearer than about this hangs together
LEAST_SIDE, LEAST_SHARE, MOST_SHARE = 36.0, 0.008, 0.9  # points; of the page's area
ABOVE, BELOW = 60.0, 40.0  # points between a figure and a caption below it, or above it
LABEL, NEAR = 40, 16.0  # characters and distance of words beside a drawing that belong to it
STROKES, LEAST_DRAWING = 12, 90.0  # shapes that a drawing without a caption has at least, points of its shorter side
WORDY = 1500  # characters; a region with more is text in a frame


@dataclass(frozen=True, slots=True)
class Region:
    """A figure: its box, its caption (indices into the lines of its page, () where it has none), and the lines that stand in it."""

    box: Box
    caption: tuple[int, ...]
    inside: tuple[int, ...]


def regions(lines: Sequence[Line], groups: Sequence[Sequence[int]], drawn: Sequence[Box], width: float, height: float) -> list[Region]:
    """groups: the paragraphs, as indices into the lines; drawn: boxes of pictures and shapes."""
    clusters = [box for box in hanging_together(drawn, width, height) if _is_large(box, width * height)]
    captions = [group for group in groups if CAPTION.match(lines[group[0]].text) and not lines[group[0]].margin]
    taken: set[int] = {at for group in captions for at in group}
    found, left = [], list(clusters)
    for caption in captions:
        place = around(_box(lines[at]) for at in caption)
        mine = _nearest(place, left)
        if mine is None:
            continue
        box = around([mine, *(other for other in left if other != mine and _beside(other, mine, place))])
        left = [other for other in left if not _covers(box, other)]
        for _ in range(2):  # the numbers beside an axis, then its name beside these
            box = around([box, *(_box(line) for at, line in enumerate(lines) if at not in taken and _is_label(line, box, place))])
        inside = tuple(at for at, line in enumerate(lines) if at not in taken and _covers(box, _box(line)))
        if sum(len(lines[at].text) for at in inside) > WORDY:
            continue
        taken.update(inside)
        found.append(Region(box, tuple(caption), inside))
    return found


def uncaptioned_drawings(
    lines: Sequence[Line], groups: Sequence[Sequence[int]], drawn: Sequence[Box], taken: Sequence[Box], width: float, height: float
) -> list[Region]:
    """Drawings of many strokes without a caption, with the labels in them and beside. taken: boxes of what is known already, tables among it."""
    short = {at for at, line in enumerate(lines) if len(line.text) <= LABEL and not line.margin}
    labels = {at for group in groups for at in short.intersection(group) if lines[at].gapped or short.issuperset(group)}  # else it is the end of a paragraph
    found: list[Region] = []
    for box in hanging_together(drawn, width, height):
        if min(box[2] - box[0], box[3] - box[1]) < LEAST_DRAWING or sum(_covers(box, other) for other in drawn) < STROKES:
            continue
        known = [*taken, *(region.box for region in found)]
        if any(_covers(box, other) or _covers(other, box) for other in known):
            continue
        for _ in range(2):
            box = around([box, *(_box(lines[at]) for at in labels if _is_near(lines[at], box))])
        inside = tuple(at for at, line in enumerate(lines) if _covers(box, _box(line)))
        if labels.issuperset(inside):
            labels -= set(inside)  # of two drawings side by side the first has what stands between
            found.append(Region(box, (), inside))
    return found


def hanging_together(boxes: Sequence[Box], width: float, height: float) -> Iterator[Box]:
    """The boxes joined to where they touch, on a grid of CELL."""
    columns, rows = int(width / CELL) + 1, int(height / CELL) + 1
    owner = [[0] * columns for _ in range(rows)]
    for x0, y0, x1, y1 in boxes:
        if (x1 - x0) * (y1 - y0) > MOST_SHARE * width * height:
            continue
        for row in range(max(0, int(y0 / CELL)), min(rows - 1, int(y1 / CELL)) + 1):
            for column in range(max(0, int(x0 / CELL)), min(columns - 1, int(x1 / CELL)) + 1):
                owner[row][column] = 1
    for row in range(rows):
        for column in range(columns):
            if owner[row][column]:
                cells, stack = [], [(row, column)]
                owner[row][column] = 0
                while stack:
                    y, x = stack.pop()
                    cells.append((y, x))
                    for b, a in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1), (y + 1, x + 1), (y - 1, x - 1), (y + 1, x - 1), (y - 1, x + 1)):
                        if 0 <= b < rows and 0 <= a < columns and owner[b][a]:
                            owner[b][a] = 0
                            stack.append((b, a))
                ys, xs = zip(*cells, strict=True)
                yield min(xs) * CELL, min(ys) * CELL, min(width, (max(xs) + 1) * CELL), min(height, (max(ys) + 1) * CELL)


def _nearest(caption: Box, boxes: Sequence[Box]) -> Box | None:
    """The drawing above a caption, else the one below it."""
    near = [box for box in boxes if _share(box, caption, 0) > 0.5]
    above = [box for box in near if -CELL <= caption[1] - box[3] <= ABOVE]
    below = [box for box in near if -CELL <= box[1] - caption[3] <= BELOW]
    return max(above, key=lambda box: box[3], default=min(below, key=lambda box: box[1], default=None))


def _beside(other: Box, mine: Box, caption: Box) -> bool:
    """A part of the same figure: in the same row of drawings, over the caption's width or near it."""
    wide = (min(caption[0], mine[0]) - 2 * CELL, caption[1], max(caption[2], mine[2]) + 2 * CELL, caption[3])
    return _share(other, mine, 1) > 0.5 and _share(other, wide, 0) > 0.5


def _is_label(line: Line, box: Box, caption: Box) -> bool:
    return len(line.text) <= LABEL and _is_near(line, box) and (line.y1 <= caption[1] + 1 or line.y0 >= caption[3] - 1)


def _is_near(line: Line, box: Box) -> bool:
    return line.x1 > box[0] - NEAR and line.x0 < box[2] + NEAR and line.y1 > box[1] - NEAR and line.y0 < box[3] + NEAR


def _is_large(box: Box, area: float) -> bool:
    sides = box[2] - box[0], box[3] - box[1]
    return min(sides) >= LEAST_SIDE and sides[0] * sides[1] >= LEAST_SHARE * area


def _share(one: Box, other: Box, axis: int) -> float:
    """How much of the shorter one two boxes have in common along an axis."""
    common = min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis])
    return common / max(1e-6, min(one[axis + 2] - one[axis], other[axis + 2] - other[axis]))


def _covers(box: Box, other: Box) -> bool:
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _box(line: Line) -> Box:
    return line.x0, line.y0, line.x1, line.y1


def around(boxes: Iterable[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
