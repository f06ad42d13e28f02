"""Boxes of a page in, their reading order out: columns left to right, lines top to bottom. Pure.

A gutter is a vertical strip that few boxes cross, with much text on both sides. Boxes that cross it (a title, a wide
figure) cut the page into bands; in each band the left side is read before the right side, recursively (an XY-cut).
"""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]

MIN_LINES = 4  # on each side of a gutter
MIN_SHARE = 0.2  # of all lines, on each side of a gutter
MAX_CROSSING = 0.3  # share of all lines that may cross a gutter
PROSE = 0.5  # lines of prose have on average at least this share of the longest line's width,
LONG = 8  # and at least this many line heights; cells of a table have less
BESIDE = 0.5  # columns stand beside each other for at least this share of the shorter one's height
SAME_ROW = 0.5  # two boxes of a row overlap by at least this share of the lower one's height


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """Indices of the boxes (x0, y0, x1, y1; y downwards, one unit for both axes) in reading order."""
    return _order(list(range(len(boxes))), boxes)


def _order(members: list[int], boxes: Sequence[Box]) -> list[int]:
    gutter = find_gutter([boxes[i] for i in members])
    if gutter is None:
        return _rows(members, boxes)
    crossing = sorted((i for i in members if boxes[i][0] < gutter < boxes[i][2]), key=lambda i: boxes[i][1])
    rest = [i for i in members if not boxes[i][0] < gutter < boxes[i][2]]
    ordered: list[int] = []
    for divider in [*crossing, None]:
        limit = float("inf") if divider is None else (boxes[divider][1] + boxes[divider][3]) / 2
        band = [i for i in rest if (boxes[i][1] + boxes[i][3]) / 2 < limit]
        rest = [i for i in rest if (boxes[i][1] + boxes[i][3]) / 2 >= limit]
        ordered += _order([i for i in band if boxes[i][2] <= gutter], boxes)
        ordered += _order([i for i in band if boxes[i][0] >= gutter], boxes)
        ordered += [] if divider is None else [divider]
    return ordered


def find_gutter(boxes: Sequence[Box]) -> float | None:
    """x of the gutter between two columns of prose; None if the page has one column, or a table."""
    if len(boxes) < 2 * MIN_LINES:
        return None
    height = sorted(box[3] - box[1] for box in boxes)[len(boxes) // 2]
    best: tuple[int, float] | None = None
    for x in sorted({(box[2] + height / 4) for box in boxes}):
        left = [box for box in boxes if box[2] <= x]
        right = [box for box in boxes if box[0] >= x]
        crossing = len(boxes) - len(left) - len(right)
        if min(len(left), len(right)) < max(MIN_LINES, MIN_SHARE * len(boxes)) or crossing > MAX_CROSSING * len(boxes):
            continue
        if not (_is_prose(left, height) and _is_prose(right, height) and _side_by_side(left, right)):
            continue
        if best is None or crossing < best[0]:
            best = (crossing, (max(box[2] for box in left) + min(box[0] for box in right)) / 2)
    return best[1] if best else None


def _is_prose(side: list[Box], height: float) -> bool:
    widths = [box[2] - box[0] for box in side]
    mean = sum(widths) / len(widths)
    return mean >= PROSE * max(widths) and mean >= LONG * height


def _side_by_side(left: list[Box], right: list[Box]) -> bool:
    top = max(min(box[1] for box in left), min(box[1] for box in right))
    bottom = min(max(box[3] for box in left), max(box[3] for box in right))
    shorter = min(max(b[3] for b in side) - min(b[1] for b in side) for side in (left, right))
    return bottom - top >= BESIDE * shorter


def _rows(members: list[int], boxes: Sequence[Box]) -> list[int]:
    """Indices of the boxes top to bottom, those of one row left to right."""
    ordered: list[int] = []
    row: list[int] = []
    for i in sorted(members, key=lambda i: (boxes[i][1] + boxes[i][3]) / 2):
        if row and not same_row(boxes[row[0]], boxes[i]):
            ordered += sorted(row, key=lambda j: boxes[j][0])
            row = []
        row.append(i)
    return ordered + sorted(row, key=lambda j: boxes[j][0])


def same_row(a: Box, b: Box) -> bool:
    """Whether two boxes stand in one row, by their overlap in height."""
    overlap = min(a[3], b[3]) - max(a[1], b[1])
    return overlap >= SAME_ROW * min(a[3] - a[1], b[3] - b[1])
