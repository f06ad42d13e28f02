"""What a look-up found, whichever it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rag.lookups.text_runs import Span


class Lookup(Enum):
    """Which look-up found it: a module of this folder each."""

    TABLE_CELL = "table cell"
    PAGE_TABLE = "page table"
    LABEL = "label"
    AXIS = "axis"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """Spans are characters of the text of evidence number `evidence`, from 0.

    value: the answer. label: what is quoted before it, in place of its whole sentence; None: that sentence is.
    confidence: 0..1, how likely it is right.
    """

    lookup: Lookup
    evidence: int
    value: Span
    label: Span | None
    confidence: float
