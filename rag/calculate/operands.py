"""What is computed with: named quantities and the spans that say them."""

from __future__ import annotations

from dataclasses import dataclass

from rag.calculate.quantities import Quantity


@dataclass(frozen=True, slots=True)
class Operands:
    """names: of each operand. quantities: in the same order; 1 for each row that is counted.

    of: what all of them are of, such as the header of their column; "" for nothing. spans: (number of the piece in
    `Context.pieces`, start, end) of the text that says them. confidence: 0..1, that they are the right ones.
    """

    names: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    of: str
    spans: tuple[tuple[int, int, int], ...]
    confidence: float
