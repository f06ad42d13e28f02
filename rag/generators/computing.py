"""Computes what a question asks to be computed; any other question another generator answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rag.calculate.answer import computed
from rag.generators.protocol import Generator
from rag.question_kind import COMPUTED, Kind
from rag.types import Context, Draft, Query


class ComputingGenerator:
    """Before `quotes`, whose name it bears; in place of a look-up's quotes where they are less sure.

    threshold: the least confidence of a computed answer.
    """

    def __init__(self, quotes: Generator, threshold: float) -> None:
        self.name, self._quotes, self._threshold = quotes.name, quotes, threshold

    def generate(self, query: Query, context: Context) -> Iterator[str | Draft]:
        if draft := self._computed(query.kind, query, context):
            yield draft.text
            yield draft
            return
        draft = self._computed(query.else_compute, query, context)
        if draft is None:
            yield from self._quotes.generate(query, context)
            return
        *pieces, quoted = self._quotes.generate(query, context)
        if quoted.abstained or quoted.confidence < draft.confidence:
            pieces, quoted = [draft.text], draft
        yield from pieces
        yield quoted

    def _computed(self, kind: Kind | None, query: Query, context: Context) -> Draft | None:
        """A computed answer that is sure enough."""
        if kind not in COMPUTED:
            return None
        draft = computed(query.text, kind, context)
        return draft if draft and not draft.abstained and draft.confidence >= self._threshold else None
