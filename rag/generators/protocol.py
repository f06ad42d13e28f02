"""The Generator protocol, and what a generator says when the sources do not hold the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from rag.types import Context, Draft, Query

ABSTENTION = "Not in these sources."


class Generator(Protocol):
    """A pure function of query and context: reads no index and ranks nothing.

    Yields pieces of text as they are made, then one Draft, always last.
    """

    name: str

    def generate(self, query: Query, context: Context) -> Iterator[str | Draft]: ...


def abstention(confidence: float = 0.0) -> Draft:
    """What is answered without evidence, or where the best answer is no surer than this."""
    return Draft(ABSTENTION, (), confidence, abstained=True)
