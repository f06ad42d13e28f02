"""Words of tables placed on a page, and the cells of tables that were found among them."""

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
    def holds(box: Box, word: Box) -> bool:
        x, y = (word[0] + word[2]) / 2, (word[1] + word[3]) / 2
        return box[0] <= x < box[2] and box[1] <= y < box[3]

    def inside(box: Box | None) -> str:
        return " ".join(text for text, place in words if box and holds(box, place))

    return [[inside(box) for box in row] for row in table.rows]
