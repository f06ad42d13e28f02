"""Tables with horizontal rules alone, as books and papers set them ("booktabs"). Pure.

Columns are found by the gaps that run through all rows. Boxes are in points, y downwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from indexing.loaders.captions import TABLE_CAPTION
from indexing.loaders.pdf.geometry import middle_x, middle_y
from indexing.loaders.pdf.ruled_tables import Rule, Ruled, snapped
from indexing.types import Box

ALIKE = 4.0  # points between the ends of the rules of one table
WIDE = 80.0  # points: the least width of a table
GAP, LEAST_GAP = 0.55, 5.0  # between two columns: of the height of the words, and points
MOST_COLUMNS = 24
FULL = 0.6  # share of its rows that have words in two columns or more
REACH = 4  # rules after the first in which a table must be found: a form may have a hundred
KEY = 8  # characters of the longest cell of a column whose cells begin the rows
WORDY = 30  # mean characters of a cell; columns of prose have more

Word = tuple[str, Box]
Row = list[Word]


def booktabs(horizontal: Sequence[Rule], words: Sequence[Word]) -> list[Ruled]:
    """Tables of at least three rules with the same ends, from the top of the page.

    The rules are above the names of the columns, below them, and below the last row; or only between all rows.
    """
    alike: list[list[Rule]] = []
    for at, stretches in snapped(horizontal):
        for start, end in stretches:
            if end - start >= WIDE:
                group = next((group for group in alike if _same_ends(group[0], start, end)), None)
                if group is None:
                    alike.append(group := [])
                group.append((at, start, end))
    return sorted((table for group in alike for table in _within(group, words)), key=lambda table: table.box[1])


def _same_ends(rule: Rule, start: float, end: float) -> bool:
    return abs(rule[1] - start) <= ALIKE and abs(rule[2] - end) <= ALIKE


def _within(rules: Sequence[Rule], words: Sequence[Word]) -> Iterator[Ruled]:
    """The tables between rules of the same ends, from the top; each as long as possible."""
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


def _table(rules: Sequence[Rule], words: Sequence[Word]) -> Ruled | None:
    """The table between some rules; None where there is none."""
    (top, left, right), under, bottom = rules[0], rules[1][0], rules[-1][0]
    inside = [
        (text, box) for text, box in words
        if top < middle_y(box) < bottom and left - ALIKE <= middle_x(box) <= right + ALIKE
    ]
    body = rows_of([(text, box) for text, box in inside if middle_y(box) > under])
    named = any(middle_y(box) < under for _, box in inside)
    if len(body) < 2 or not named or any(TABLE_CAPTION.match(_text(row)) for row in body):
        return None
    edges = columns_of([word for row in body for word in row], left, right)
    if not 2 < len(edges) <= MOST_COLUMNS + 1:
        return None
    sizes = [[sum(len(text) for text, _ in _between(row, low, high)) for low, high in pairwise(edges)] for row in body]
    filled = [size for row in sizes for size in row if size]
    if sum(sum(map(bool, row)) > 1 for row in sizes) < FULL * len(sizes) or sum(filled) > WORDY * len(filled):
        return None
    body = _unwrapped(body, sizes)
    tops = [min(box[1] for _, box in row) for row in body]
    bottoms = [max(box[3] for _, box in row) for row in body]
    between = ((above + below) / 2 for above, below in zip(bottoms[:-1], tops[1:], strict=True))
    cuts = [top, under, *between, bottom]
    if len(rules) == len(body) + 2:
        # A rule between any two rows: the first rule may be below the names, the last one above the last row.
        columns = [word for row in body for word in row], edges
        above = _further_row(words, top - (under - top), top, *columns)
        below = _further_row(words, bottom, bottom + (bottom - cuts[-2]), *columns)
        cuts = [*above[:1], *cuts, *below[1:]]
    cells = tuple(tuple((low, y0, high, y1) for low, high in pairwise(edges)) for y0, y1 in pairwise(cuts))
    return Ruled((edges[0], cuts[0], edges[-1], cuts[-1]), cells)


def _further_row(
    words: Sequence[Word], top: float, bottom: float, body: Row, edges: Sequence[float]
) -> tuple[float, ...]:
    """(top, bottom) of a further row between these, where its words are in the table's columns; else ()."""
    row = [
        (text, box) for text, box in words
        if top < middle_y(box) < bottom and edges[0] <= middle_x(box) <= edges[-1]
    ]
    filled = sum(bool(_between(row, low, high)) for low, high in pairwise(edges))
    if filled < 2 or filled < FULL * (len(edges) - 1) or len(rows_of(row)) > 1:
        return ()
    if len(columns_of([*body, *row], edges[0] + ALIKE, edges[-1] - ALIKE)) < len(edges):
        return ()
    return min(box[1] for _, box in row), max(box[3] for _, box in row)


def _between(words: Sequence[Word], low: float, high: float) -> Row:
    """The words with their middle in [low, high)."""
    return [word for word in words if low <= middle_x(word[1]) < high]


def _text(row: Row) -> str:
    return " ".join(text for text, _ in sorted(row, key=lambda word: word[1][0]))


def rows_of(words: Sequence[Word]) -> list[Row]:
    """Words by the line that they are on, from the top."""
    rows: list[Row] = []
    for word in sorted(words, key=lambda word: middle_y(word[1])):
        height = word[1][3] - word[1][1]
        if rows and middle_y(word[1]) < max(box[3] for _, box in rows[-1]) - 0.3 * height:
            rows[-1].append(word)
        else:
            rows.append([word])
    return rows


def _unwrapped(body: list[Row], sizes: list[list[int]]) -> list[Row]:
    """Lines joined to rows, where one column of short cells (a year, a number) has a cell in the first line of each.

    sizes: characters of each line in each column.
    """
    filled = [sum(map(bool, line)) for line in sizes]  # columns, of each line
    for column in sorted(range(len(sizes[0])), key=lambda at: sum(line[at] for line in sizes)):
        begins = [line[column] > 0 for line in sizes]
        if not begins[0] or all(begins) or sum(begins) < 2 or max(line[column] for line in sizes) > KEY:
            continue
        if max(count for count, new in zip(filled, begins, strict=True) if not new) >= max(filled):
            continue  # a line that continues cells of the line above has fewer
        rows: list[Row] = []
        for line, new in zip(body, begins, strict=True):
            if new:
                rows.append([])
            rows[-1] += line
        return rows
    return body


def columns_of(words: Sequence[Word], left: float, right: float) -> list[float]:
    """The borders of columns: the middles of the gaps that no word reaches into, and ALIKE beyond left and right."""
    heights = sorted(box[3] - box[1] for _, box in words)
    least = max(LEAST_GAP, GAP * heights[len(heights) // 2])
    edges, reach = [left - ALIKE], -1.0
    for x0, x1 in sorted((box[0], box[2]) for _, box in words):
        if reach >= 0 and x0 - reach >= least:
            edges.append((reach + x0) / 2)
        reach = max(reach, x1)
    return [*edges, right + ALIKE]
