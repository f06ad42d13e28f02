"""Tables with horizontal rules alone, as books and papers set them: columns are told by the gaps that run through all their rows. Pure.

Boxes are in the page's own unit (points), y downwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from indexing.loaders.pdf.ruled_tables import Rule, Ruled, snapped
from indexing.types import Box

ALIKE = 4.0  # points between the ends of the rules of one table
WIDE = 80.0  # points: the least width of a table
GAP = 0.55  # of the height of its words: what parts two columns
LEAST_GAP = 5.0  # points
MOST_COLUMNS = 24
FULL = 0.6  # of its rows have words in two columns or more
REACH = 4  # rules that are looked at for a table to begin: a form may have a hundred
KEY = 8  # characters of the longest cell of a column that tells where rows begin
CAPTION = re.compile(r"(?i:tab(?:le|\.)?)\s*[A-Z]?\d+\s*[.:–|-]")
WORDY = 30  # characters of a cell in the mean; columns of prose have more


def booktabs(horizontal: Sequence[Rule], words: Sequence[tuple[str, Box]]) -> list[Ruled]:
    """Tables of at least three rules of the same ends: above the names of the columns, below them, below the last row; or between all rows alone."""
    alike: list[list[Rule]] = []
    for at, stretches in snapped(horizontal):
        for start, end in stretches:
            if end - start >= WIDE:
                group = next((group for group in alike if abs(group[0][1] - start) <= ALIKE and abs(group[0][2] - end) <= ALIKE), None)
                if group is None:
                    alike.append(group := [])
                group.append((at, start, end))
    return sorted((table for group in alike for table in _within(group, words)), key=lambda table: table.box[1])


def _within(rules: Sequence[Rule], words: Sequence[tuple[str, Box]]) -> Iterator[Ruled]:
    """The tables between rules of the same ends, from above; each as long as it holds together."""
    first = 0
    while first + 2 < len(rules):
        longest: tuple[int, Ruled] | None = None
        for last in range(first + 2, len(rules)):
            if table := _table(rules[first : last + 1], words):
                longest = last, table
            elif longest or last - first > REACH:
                break
        if longest:
            yield longest[1]
        first = longest[0] + 1 if longest else first + 1


def _table(rules: Sequence[Rule], words: Sequence[tuple[str, Box]]) -> Ruled | None:
    (top, left, right), under, bottom = rules[0], rules[1][0], rules[-1][0]
    inside = [(text, box) for text, box in words if top < (box[1] + box[3]) / 2 < bottom and left - ALIKE <= (box[0] + box[2]) / 2 <= right + ALIKE]
    body = rows_of([(text, box) for text, box in inside if (box[1] + box[3]) / 2 > under])
    if len(body) < 2 or any(CAPTION.match(" ".join(text for text, _ in sorted(row, key=lambda word: word[1][0]))) for row in body) or not any((box[1] + box[3]) / 2 < under for _, box in inside):
        return None
    edges = columns_of([word for row in body for word in row], left, right)
    if not 2 < len(edges) <= MOST_COLUMNS + 1:
        return None
    filled = [[sum(len(text) for text, box in row if low <= (box[0] + box[2]) / 2 < high) for low, high in pairwise(edges)] for row in body]
    sizes = [size for row in filled for size in row if size]
    if sum(sum(map(bool, row)) > 1 for row in filled) < FULL * len(filled) or sum(sizes) > WORDY * len(sizes):
        return None
    body = _unwrapped(body, filled)
    tops = [min(box[1] for _, box in row) for row in body]
    bottoms = [max(box[3] for _, box in row) for row in body]
    cuts = [top, under, *((above + below) / 2 for above, below in zip(bottoms[:-1], tops[1:], strict=True)), bottom]
    if len(rules) == len(body) + 2:  # a rule between any two rows: the first one may stand under the names, the last one over the last row
        columns = [word for row in body for word in row], edges
        cuts = [*_beyond(words, top - (under - top), top, *columns)[:1], *cuts, *_beyond(words, bottom, bottom + (bottom - cuts[-2]), *columns)[1:]]
    cells = tuple(tuple((low, y0, high, y1) for low, high in pairwise(edges)) for y0, y1 in pairwise(cuts))
    return Ruled((edges[0], cuts[0], edges[-1], cuts[-1]), cells)


def _beyond(words: Sequence[tuple[str, Box]], top: float, bottom: float, body: list[tuple[str, Box]], edges: Sequence[float]) -> tuple[float, ...]:
    """(top, bottom) of a further row between these, where what stands there stands in the table's columns; else nothing."""
    line = [(text, box) for text, box in words if top < (box[1] + box[3]) / 2 < bottom and edges[0] <= (box[0] + box[2]) / 2 <= edges[-1]]
    filled = sum(any(low <= (box[0] + box[2]) / 2 < high for _, box in line) for low, high in pairwise(edges))
    if filled < 2 or filled < FULL * (len(edges) - 1) or len(rows_of(line)) > 1 or len(columns_of([*body, *line], edges[0] + ALIKE, edges[-1] - ALIKE)) < len(edges):
        return ()
    return min(box[1] for _, box in line), max(box[3] for _, box in line)


def rows_of(words: Sequence[tuple[str, Box]]) -> list[list[tuple[str, Box]]]:
    """Words by the line that they stand on, from above."""
    rows: list[list[tuple[str, Box]]] = []
    for word in sorted(words, key=lambda word: (word[1][1] + word[1][3]) / 2):
        middle = (word[1][1] + word[1][3]) / 2
        if rows and middle < max(box[3] for _, box in rows[-1]) - 0.3 * (word[1][3] - word[1][1]):
            rows[-1].append(word)
        else:
            rows.append([word])
    return rows


def _unwrapped(body: list[list[tuple[str, Box]]], filled: list[list[int]]) -> list[list[tuple[str, Box]]]:
    """Lines joined to rows, where a column of short cells (a year, a number) tells which lines begin one: the others go on with cells of the line above."""
    for column in sorted(range(len(filled[0])), key=lambda at: sum(row[at] for row in filled)):
        begin = [row[column] > 0 for row in filled]
        sizes = [row[column] for row in filled if row[column]]
        most = [sum(map(bool, row)) for row in filled]
        if begin[0] and not all(begin) and max(sizes) <= KEY and sum(begin) > 1 and max(m for m, b in zip(most, begin, strict=True) if not b) < max(most):
            joined: list[list[tuple[str, Box]]] = []
            for row, new in zip(body, begin, strict=True):
                if new:
                    joined.append(list(row))
                else:
                    joined[-1] += row
            return joined
    return body


def columns_of(words: Sequence[tuple[str, Box]], left: float, right: float) -> list[float]:
    """Where columns begin and end: in the middle of the gaps that no word reaches into."""
    heights = sorted(box[3] - box[1] for _, box in words)
    least = max(LEAST_GAP, GAP * heights[len(heights) // 2])
    edges, reach = [left - ALIKE], -1.0
    for x0, x1 in sorted((box[0], box[2]) for _, box in words):
        if reach >= 0 and x0 - reach >= least:
            edges.append((reach + x0) / 2)
        reach = max(reach, x1)
    return [*edges, right + ALIKE]
