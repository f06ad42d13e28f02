"""Ruled tables: cells are what lines enclose. Pure.

Lines cut a page into a grid of slots. Slots without a line between them are joined; those joined with the outside of
the grid are no cells. A table may lack the lines at its left and right. Boxes are in points, y downwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from indexing.loaders.pdf.geometry import around, shorter_side
from indexing.types import Box

SNAP = 6.0  # points: lines nearer than this are one, as double ones are
COVERED = 0.8  # of the border of a slot that a line covers at least
MOST = 160  # lines of one direction; a page with more shows a drawing
LEAST = 6.0  # points: the side of a cell

Rule = tuple[float, float, float]  # position of a line on its axis, and its start and end on the other axis
Stretch = tuple[float, float]  # start and end of a part of a line


@dataclass(frozen=True, slots=True)
class Ruled:
    """A table. rows[r][c] is the box of a cell, None where a neighbouring cell spans the place."""

    box: Box
    rows: tuple[tuple[Box | None, ...], ...]


def tables(horizontal: Sequence[Rule], vertical: Sequence[Rule]) -> list[Ruled]:
    """Tables of at least two rows and two columns, from the top of the page.

    horizontal: (y, x0, x1); vertical: (x, y0, y1).
    """
    across = snapped(horizontal)
    ends = Counter(round(end / SNAP) for _, stretches in across for stretch in stretches for end in stretch)
    down = snapped([*vertical, *((SNAP * end, 0.0, 0.0) for end, count in ends.items() if count > 2)])
    if not (2 < len(across) <= MOST and 2 < len(down) <= MOST):
        return []
    found = [_table(group) for group in _touching(list(_cells(across, down)))]
    return sorted((one for one in found if len(one.rows) > 1 and len(one.rows[0]) > 1), key=lambda one: one.box[1])


def snapped(rules: Sequence[Rule]) -> list[tuple[float, list[Stretch]]]:
    """Lines by their position, ascending, each with the stretches that it covers."""
    lines: list[tuple[float, list[Stretch]]] = []
    for at, start, end in sorted(rules):
        if lines and at - lines[-1][0] <= SNAP:
            lines[-1][1].append((start, end))
        else:
            lines.append((at, [(start, end)]))
    return [(at, _joined(stretches)) for at, stretches in lines]


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start - joined[-1][1] <= SNAP:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _covers(stretches: Sequence[Stretch], start: float, end: float) -> bool:
    return any(min(end, right) - max(start, left) >= COVERED * (end - start) for left, right in stretches)


def _end(upper: Sequence[Stretch], lower: Sequence[Stretch], x: float) -> bool:
    """Whether two lines both begin or both end at x: the side of a table that has no line there."""

    def ends(line: Sequence[Stretch], side: int) -> bool:
        return any(abs(stretch[side] - x) <= SNAP for stretch in line)

    return any(ends(upper, side) and ends(lower, side) for side in (0, 1))


class _Slots:
    """Slots of the grid, numbered row by row, as disjoint sets (union-find). `outside` is joined like a slot."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns, self.outside = rows, columns, rows * columns
        self._parent = list(range(self.outside + 1))

    def number(self, row: int, column: int) -> int:
        inside = 0 <= row < self.rows and 0 <= column < self.columns
        return row * self.columns + column if inside else self.outside

    def root(self, at: int) -> int:
        while self._parent[at] != at:
            self._parent[at] = self._parent[self._parent[at]]
            at = self._parent[at]
        return at

    def join(self, one: int, other: int) -> None:
        self._parent[self.root(one)] = self.root(other)

    def groups(self) -> Iterator[list[tuple[int, int]]]:
        """(row, column) of the slots of each set, but for the set of the outside."""
        groups: dict[int, list[tuple[int, int]]] = {}
        for at in range(self.outside):
            if self.root(at) != self.root(self.outside):
                groups.setdefault(self.root(at), []).append(divmod(at, self.columns))
        yield from groups.values()


def _cells(across: Sequence[tuple[float, list[Stretch]]], down: Sequence[tuple[float, list[Stretch]]]) -> Iterator[Box]:
    ys, xs = [at for at, _ in across], [at for at, _ in down]
    slots = _Slots(len(ys) - 1, len(xs) - 1)
    for row in range(slots.rows):
        divided = any(_covers(stretches, ys[row], ys[row + 1]) for _, stretches in down)
        for column in range(slots.columns + 1):
            is_open = not _covers(down[column][1], ys[row], ys[row + 1])
            if is_open and not (divided and _end(across[row][1], across[row + 1][1], xs[column])):
                slots.join(slots.number(row, column - 1), slots.number(row, column))
    for column in range(slots.columns):
        for row in range(slots.rows + 1):
            if not _covers(across[row][1], xs[column], xs[column + 1]):
                slots.join(slots.number(row - 1, column), slots.number(row, column))
    for group in slots.groups():
        rows, columns = [row for row, _ in group], [column for _, column in group]
        top, left, bottom, right = min(rows), min(columns), max(rows), max(columns)
        box = xs[left], ys[top], xs[right + 1], ys[bottom + 1]
        is_rectangle = len(group) == (bottom - top + 1) * (right - left + 1)
        if is_rectangle and shorter_side(box) >= LEAST:
            yield box


def _touching(cells: Sequence[Box]) -> list[list[Box]]:
    """Cells grouped by touching each other."""
    groups: list[list[Box]] = []
    for cell in cells:
        near = [group for group in groups if any(_touch(cell, other) for other in group)]
        apart = [group for group in groups if group not in near]
        groups = [*apart, [cell, *(other for group in near for other in group)]]
    return groups


def _touch(one: Box, other: Box) -> bool:
    width, height = (min(one[at + 2], other[at + 2]) - max(one[at], other[at]) for at in (0, 1))
    return (width > SNAP and height >= -SNAP) or (height > SNAP and width >= -SNAP)


def _table(cells: Sequence[Box]) -> Ruled:
    lefts, tops = sorted({cell[0] for cell in cells}), sorted({cell[1] for cell in cells})
    placed = {(tops.index(cell[1]), lefts.index(cell[0])): cell for cell in cells}
    rows = tuple(tuple(placed.get((row, column)) for column in range(len(lefts))) for row in range(len(tops)))
    return Ruled(around(cells), rows)
