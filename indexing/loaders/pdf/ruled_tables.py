"""Ruled tables: cells are what lines enclose. Pure.

Lines cut a page into a grid of slots; slots that no line parts hang together, and those that hang together with the outside are no cells. A table may lack the lines at its left and right. Boxes are in
the page's own unit (points), y downwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from indexing.types import Box

SNAP = 6.0  # points: lines nearer than this are one, as double ones are
COVERED = 0.8  # of the border of a slot
MOST = 160  # lines of one direction; a page with more shows a drawing
LEAST = 6.0  # points: the side of a cell

Rule = tuple[float, float, float]  # where a line stands on its axis, and from where to where it goes on the other


@dataclass(frozen=True, slots=True)
class Ruled:
    """rows[r][c] is the box of a cell, None where a neighbour reaches over."""

    box: Box
    rows: tuple[tuple[Box | None, ...], ...]


def tables(horizontal: Sequence[Rule], vertical: Sequence[Rule]) -> list[Ruled]:
    """Tables of at least two rows and two columns, from the top of the page. horizontal: (y, x0, x1); vertical: (x, y0, y1)."""
    across = snapped(horizontal)
    ends = Counter(round(end / SNAP) for _, stretches in across for stretch in stretches for end in stretch)
    down = snapped([*vertical, *((SNAP * end, 0.0, 0.0) for end, count in ends.items() if count > 2)])
    if not (2 < len(across) <= MOST and 2 < len(down) <= MOST):
        return []
    cells = list(_cells(across, down))
    found = [_table(group) for group in _touching(cells)]
    return sorted((one for one in found if len(one.rows) > 1 and len(one.rows[0]) > 1), key=lambda one: one.box[1])


def snapped(rules: Sequence[Rule]) -> list[tuple[float, list[tuple[float, float]]]]:
    """Lines by where they stand, ascending, each with the stretches that it covers."""
    lines: list[tuple[float, list[tuple[float, float]]]] = []
    for at, start, end in sorted(rules):
        if lines and at - lines[-1][0] <= SNAP:
            lines[-1][1].append((start, end))
        else:
            lines.append((at, [(start, end)]))
    return [(at, _joined(stretches)) for at, stretches in lines]


def _joined(stretches: list[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if joined and start - joined[-1][1] <= SNAP:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _covers(stretches: Sequence[tuple[float, float]], start: float, end: float) -> bool:
    return any(min(end, right) - max(start, left) >= COVERED * (end - start) for left, right in stretches)


def _end(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], x: float) -> bool:
    """Whether two lines both begin or both end there: the side of a table that is drawn without one."""
    return any(any(abs(stretch[side] - x) <= SNAP for stretch in upper) and any(abs(stretch[side] - x) <= SNAP for stretch in lower) for side in (0, 1))


def _cells(across: Sequence[tuple[float, list]], down: Sequence[tuple[float, list]]) -> Iterator[Box]:
    ys, xs = [at for at, _ in across], [at for at, _ in down]
    rows, columns = len(ys) - 1, len(xs) - 1
    outside = rows * columns
    parent = list(range(outside + 1))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for row in range(rows):
        parted = any(_covers(stretches, ys[row], ys[row + 1]) for _, stretches in down)
        for column in range(columns + 1):
            open_side = not _covers(down[column][1], ys[row], ys[row + 1])
            if open_side and not (parted and _end(across[row][1], across[row + 1][1], xs[column])):
                left = row * columns + column - 1 if column else outside
                right = row * columns + column if column < columns else outside
                parent[root(left)] = root(right)
    for column in range(columns):
        for row in range(rows + 1):
            if not _covers(across[row][1], xs[column], xs[column + 1]):
                upper = (row - 1) * columns + column if row else outside
                lower = row * columns + column if row < rows else outside
                parent[root(upper)] = root(lower)
    slots: dict[int, list[tuple[int, int]]] = {}
    for at in range(outside):
        if root(at) != root(outside):
            slots.setdefault(root(at), []).append(divmod(at, columns))
    for mine in slots.values():
        top, left, bottom, right = min(r for r, _ in mine), min(c for _, c in mine), max(r for r, _ in mine), max(c for _, c in mine)
        box = xs[left], ys[top], xs[right + 1], ys[bottom + 1]
        if len(mine) == (bottom - top + 1) * (right - left + 1) and min(box[2] - box[0], box[3] - box[1]) >= LEAST:
            yield box


def _touching(cells: Sequence[Box]) -> list[list[Box]]:
    groups: list[list[Box]] = []
    for cell in cells:
        near = [group for group in groups if any(_touch(cell, other) for other in group)]
        groups = [group for group in groups if group not in near] + [[cell, *(other for group in near for other in group)]]
    return groups


def _touch(one: Box, other: Box) -> bool:
    width, height = (min(one[at + 2], other[at + 2]) - max(one[at], other[at]) for at in (0, 1))
    return (width > SNAP and height >= -SNAP) or (height > SNAP and width >= -SNAP)


def _table(cells: Sequence[Box]) -> Ruled:
    lefts, tops = sorted({cell[0] for cell in cells}), sorted({cell[1] for cell in cells})
    placed = {(tops.index(cell[1]), lefts.index(cell[0])): cell for cell in cells}
    rows = tuple(tuple(placed.get((row, column)) for column in range(len(lefts))) for row in range(len(tops)))
    return Ruled((lefts[0], tops[0], max(cell[2] for cell in cells), max(cell[3] for cell in cells)), rows)
