"""Words of tables as they stand on a page, and what is read of tables found there."""

from __future__ import annotations

from collections.abc import Sequence

from indexing.loaders.pdf.ruled_tables import Ruled
from indexing.types import Box

Word = tuple[str, Box]


def placed(rows: Sequence[Sequence[str]], xs: Sequence[float], top: float = 106.0, pitch: float = 20.0) -> list[Word]:
    """Rows of cells that begin at `xs`: letters 5 wide and 10 high, 3 between words."""
    words = []
    for number, row in enumerate(rows):
        for x, cell in zip(xs, row, strict=False):
            for word in cell.split():
                words.append((word, (x, top + pitch * number, x + 5 * len(word), top + pitch * number + 10)))
                x += 5 * len(word) + 3
    return words


def cells_of(table: Ruled, words: Sequence[Word]) -> list[list[str]]:
    def inside(box: Box | None) -> str:
        return " ".join(text for text, (a, b, c, d) in words if box and box[0] <= (a + c) / 2 < box[2] and box[1] <= (b + d) / 2 < box[3])

    return [[inside(box) for box in row] for row in table.rows]
