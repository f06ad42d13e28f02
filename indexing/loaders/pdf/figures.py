"""Figures of a page: drawings near a caption like "Figure 3: ...", and drawings of many strokes without one. Pure.

In: the lines of a page and the boxes of what is drawn on it. Out: regions with the lines in them. Other drawings
(logos, rules, backgrounds) are no figures. Boxes are in points, y downwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from indexing.loaders.captions import FIGURE_CAPTION
from indexing.loaders.layout import Line
from indexing.loaders.pdf.geometry import area, around, covers, shorter_side
from indexing.types import Box

# Lengths are in points.
CELL = 6.0  # of the grid on which drawings are joined: parts nearer than about this belong together
LEAST_SIDE, LEAST_SHARE = 36.0, 0.008  # shorter side of a captioned figure, and its share of the page's area
MOST_SHARE = 0.9  # of the page's area; a larger drawing is its background
ABOVE, BELOW = 60.0, 40.0  # the largest distance of a figure to a caption below it, and to one above it
LABEL, NEAR = 40, 16.0  # characters of a label beside a drawing, and its distance
STROKES, LEAST_DRAWING = 12, 90.0  # number of shapes of a drawing without a caption, and its shorter side
WORDY = 1500  # characters; a region with more is a frame around text

AROUND = [(y, x) for y, x in product((-1, 0, 1), repeat=2) if (y, x) != (0, 0)]  # the neighbours of a grid cell


@dataclass(frozen=True, slots=True)
class Region:
    """A figure. caption, inside: indices into the lines of its page; () for a figure without a caption."""

    box: Box
    caption: tuple[int, ...]
    inside: tuple[int, ...]


def regions(
    lines: Sequence[Line], groups: Sequence[Sequence[int]], drawn: Sequence[Box], width: float, height: float
) -> list[Region]:
    """The captioned figures. groups: the paragraphs, as indices into the lines; drawn: boxes of images and shapes."""
    left = [box for box in joined(drawn, width, height) if _is_large(box, width * height)]
    captions = [group for group in groups if _is_caption(lines[group[0]])]
    taken: set[int] = {at for group in captions for at in group}
    found: list[Region] = []
    for group in captions:
        caption = around(_box(lines[at]) for at in group)
        nearest = _nearest(caption, left)
        if nearest is None:
            continue
        box = around([nearest, *(other for other in left if other != nearest and _beside(other, nearest, caption))])
        left = [other for other in left if not covers(box, other)]
        free = {at: line for at, line in enumerate(lines) if at not in taken}
        for _ in range(2):  # the numbers beside an axis, then its name beside the numbers
            box = around([box, *(_box(line) for line in free.values() if _is_label(line, box, caption))])
        inside = tuple(at for at, line in free.items() if covers(box, _box(line)))
        if sum(len(lines[at].text) for at in inside) > WORDY:
            continue
        taken.update(inside)
        found.append(Region(box, tuple(group), inside))
    return found


def uncaptioned_drawings(
    lines: Sequence[Line], groups: Sequence[Sequence[int]], drawn: Sequence[Box], known: Sequence[Box], width: float,
    height: float,
) -> list[Region]:
    """Drawings of many strokes without a caption, with the labels in them and beside them.

    known: boxes of the tables and captioned figures of the page.
    """
    short = {at for at, line in enumerate(lines) if len(line.text) <= LABEL and not line.margin}
    labels: set[int] = set()  # short lines that are not the end of a paragraph
    for group in groups:
        labels.update(at for at in short.intersection(group) if lines[at].gapped or short.issuperset(group))
    found: list[Region] = []
    for box in joined(drawn, width, height):
        if shorter_side(box) < LEAST_DRAWING or sum(covers(box, other) for other in drawn) < STROKES:
            continue
        others = [*known, *(region.box for region in found)]
        if any(covers(box, other) or covers(other, box) for other in others):
            continue
        for _ in range(2):
            box = around([box, *(_box(lines[at]) for at in labels if _is_near(lines[at], box))])
        inside = tuple(at for at, line in enumerate(lines) if covers(box, _box(line)))
        if labels.issuperset(inside):
            labels -= set(inside)  # of two drawings side by side the first has the labels between them
            found.append(Region(box, (), inside))
    return found


def joined(boxes: Sequence[Box], width: float, height: float) -> Iterator[Box]:
    """The boxes joined to where they touch, on a grid of CELL. Connected components, row by row."""
    columns, rows = int(width / CELL) + 1, int(height / CELL) + 1
    filled = [[False] * columns for _ in range(rows)]
    for box in boxes:
        if area(box) > MOST_SHARE * width * height:
            continue
        x0, y0, x1, y1 = box
        for row in range(max(0, int(y0 / CELL)), min(rows - 1, int(y1 / CELL)) + 1):
            for column in range(max(0, int(x0 / CELL)), min(columns - 1, int(x1 / CELL)) + 1):
                filled[row][column] = True
    for row, column in product(range(rows), range(columns)):
        if filled[row][column]:
            ys, xs = zip(*_take_component(filled, row, column), strict=True)
            right, bottom = (max(xs) + 1) * CELL, (max(ys) + 1) * CELL
            yield min(xs) * CELL, min(ys) * CELL, min(width, right), min(height, bottom)


def _take_component(filled: list[list[bool]], row: int, column: int) -> list[tuple[int, int]]:
    """The cells that hang together with a filled one; they are emptied."""
    cells, stack = [], [(row, column)]
    filled[row][column] = False
    while stack:
        y, x = stack.pop()
        cells.append((y, x))
        for down, right in AROUND:
            b, a = y + down, x + right
            if 0 <= b < len(filled) and 0 <= a < len(filled[b]) and filled[b][a]:
                filled[b][a] = False
                stack.append((b, a))
    return cells


def _is_caption(line: Line) -> bool:
    return bool(FIGURE_CAPTION.match(line.text)) and not line.margin


def _nearest(caption: Box, boxes: Sequence[Box]) -> Box | None:
    """The drawing above a caption, else the one below it."""
    near = [box for box in boxes if _share(box, caption, 0) > 0.5]
    above = [box for box in near if -CELL <= caption[1] - box[3] <= ABOVE]
    below = [box for box in near if -CELL <= box[1] - caption[3] <= BELOW]
    return max(above, key=lambda box: box[3], default=min(below, key=lambda box: box[1], default=None))


def _beside(other: Box, nearest: Box, caption: Box) -> bool:
    """A part of the same figure: in the same row of drawings, over the caption's width or near it."""
    left, right = min(caption[0], nearest[0]) - 2 * CELL, max(caption[2], nearest[2]) + 2 * CELL
    return _share(other, nearest, 1) > 0.5 and _share(other, (left, caption[1], right, caption[3]), 0) > 0.5


def _is_label(line: Line, box: Box, caption: Box) -> bool:
    beyond_caption = line.y1 <= caption[1] + 1 or line.y0 >= caption[3] - 1
    return len(line.text) <= LABEL and _is_near(line, box) and beyond_caption


def _is_near(line: Line, box: Box) -> bool:
    return line.x1 > box[0] - NEAR and line.x0 < box[2] + NEAR and line.y1 > box[1] - NEAR and line.y0 < box[3] + NEAR


def _is_large(box: Box, page_area: float) -> bool:
    return shorter_side(box) >= LEAST_SIDE and area(box) >= LEAST_SHARE * page_area


def _share(one: Box, other: Box, axis: int) -> float:
    """How much of the shorter one two boxes have in common along an axis, 0 for x, 1 for y."""
    common = min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis])
    return common / max(1e-6, min(one[axis + 2] - one[axis], other[axis + 2] - other[axis]))


def _box(line: Line) -> Box:
    return line.x0, line.y0, line.x1, line.y1
