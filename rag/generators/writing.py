"""Puts a sentence that answers in front of what was quoted or computed. Pure.

The sentence is made of the question's words and the short answer alone (models.writer). The reader must find the same
answer in it to the same question, else what was quoted or computed stands by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from models.common.errors import WeightsError
from models.reader.extractive_reader import Reader
from models.reader.windows import Passage
from models.writer.writer import Statement, Writer
from rag.generators.protocol import Generator
from rag.question_kind import Kind
from rag.types import Context, Draft, Query, Support

WRITTEN = (Kind.LOOK_UP, Kind.SUM, Kind.MEAN, Kind.DIFFERENCE)  # whose answers are said in a sentence
# A question that is answered by yes or no: its quotes hold no answer that a sentence could be made of
_YES_NO = re.compile(
    r"\s*(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|may|might|must|shall|should)\b", re.I
)
_SAID = re.compile(r"\b(?!(?:an?|the)\b)\w+")


class WritingGenerator:
    """Over `answers`, whose name it bears. open_writer: raises WeightsError where the writer's weights are missing;
    then `answers` stands, and the trace says why.
    """

    def __init__(self, answers: Generator, reader: Reader, open_writer: Callable[[], Writer]) -> None:
        self.name, self._answers, self._reader, self._open_writer = answers.name, answers, reader, open_writer

    def generate(self, query: Query, context: Context) -> Iterator[str | Draft]:
        pieces: list[str] = []
        for piece in self._answers.generate(query, context):
            if isinstance(piece, Draft):
                draft = self._written(query, context, piece)
                yield from [draft.text] if draft is not piece else pieces
                yield draft
            else:
                pieces.append(piece)

    def _written(self, query: Query, context: Context, draft: Draft) -> Draft:
        if draft.abstained or draft.answer is None or query.kind not in WRITTEN or _YES_NO.match(query.text):
            return draft
        start, end = draft.answer
        evidence = " ".join(context.pieces[at].text for at in dict.fromkeys(one.index for one in draft.supports))
        try:
            statement = self._open_writer().say(query.text, draft.text[start:end], evidence)
        except WeightsError as error:
            return replace(draft, details={**draft.details, "not_written": str(error)})
        repeated = draft.text[start - 1 : start] == "\n" and end == len(draft.text)  # on a line of its own, at the end
        rest = draft.text[: start - 1] if repeated else draft.text
        if statement is None or _says(rest, statement) or not self._is_read(query.text, statement):
            return draft
        details = {**draft.details, "written": {"answer": draft.text[start:end], "score": round(statement.score, 3)}}
        said, place = statement.text, (statement.start, statement.end)
        text = said if _words(rest) <= _words(said) else f"{said}\n{rest}"  # a label says no more
        if text == said or not repeated:
            supports = [_claiming(one, 0, len(text)) for one in draft.supports]
        else:  # the answer's spans bear the sentence, all others their quotes
            by = len(said) + 1
            supports = [_claiming(one, 0, len(said)) for one in draft.supports if one.claim_start == start]
            quoted = [one for one in draft.supports if one.claim_end <= len(rest)]
            supports += [_claiming(one, one.claim_start + by, one.claim_end + by) for one in quoted]
        return replace(draft, text=text, supports=tuple(supports), answer=place, details=details)

    def _is_read(self, question: str, statement: Statement) -> bool:
        """Whether the reader finds the answer in the statement where it stands."""
        [finding] = self._reader.read_pairs([(question, Passage(statement.text))])
        return finding.start < statement.end and statement.start < finding.end


def _says(text: str, statement: Statement) -> bool:
    """Whether a text says the same, word for word but for articles."""
    words, said = (" ".join(_SAID.findall(one.casefold())) for one in (text, statement.text))
    return f" {said} " in f" {words} "


def _words(text: str) -> set[str]:
    return set(_SAID.findall(text.casefold()))


def _claiming(support: Support, start: int, end: int) -> Support:
    return replace(support, claim_start=start, claim_end=end)
