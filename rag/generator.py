"""The Generator protocol, and how a generator is named: `quote`, `openai:URL`, `hf:PATH_OR_ID`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from rag.types import Context, Draft

ABSTENTION = "Not in these sources."


class Generator(Protocol):
    """Answers from the context alone. Yields pieces of text as they are made, then one Draft, always last."""

    name: str

    def generate(self, question: str, context: Context) -> Iterator[str | Draft]: ...
