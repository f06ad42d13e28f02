"""Which quantities in running text a comparison is about. Pure: words decide.

In: a question that compares, and pieces of text. Out: named quantities of one unit with their spans. Two for "X or Y",
"X than Y", "between X and Y", and "from 2022 to 2023", the later year first; all of a kind for "which gate is the
widest?"; None where words do not tell them.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from indexing.sentences import sentences
from rag.calculate.measures import MEASURING, units_of
from rag.calculate.operations import alike
from rag.calculate.quantities import WORDS, Quantity, quantities
from rag.calculate.tables import MONTHS
from rag.dates import years
from rag.words import stems

_ASKING = stems(WORDS["operations"]["stems"]) | MEASURING
_OF_TWO = re.compile(
    r"(?:between|:|,|\b(?:is|was|are|were|do|does|did|has|have|had))\s+(?P<first>[^,:?]+?),?\s+(?:or|and|than)\s+"
    r"(?P<second>[^,?]+)",
    re.IGNORECASE,
)

_YEAR = r"[12]\d{3}"
_BREAK = re.compile(r",\s|;|\band\b")
_OF_YEARS = re.compile(rf"\b(?:from|between)\s+(?P<second>{_YEAR})\s+(?:to|and)\s+(?P<first>{_YEAR})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A quantity in piece number `piece`, and what it is of: text[start:end] is the statement that says so."""

    name: str
    quantity: Quantity
    piece: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Statement:
    piece: int
    start: int
    end: int
    text: str
    words: frozenset[str]
    quantities: tuple[Quantity, ...]


def compared(question: str, texts: Sequence[str], extreme: bool) -> tuple[Named, ...] | None:
    """The quantities that the question compares: two as it names them; else, for an extreme, all of a kind."""
    asked = stems(question)
    units = units_of(asked)
    statements = [one for number, text in enumerate(texts) for one in _statements(number, text, units)]
    if match := _OF_YEARS.search(question) or _OF_TWO.search(question):
        first, second = match["first"], match["second"]
        own = (stems(first) - stems(second) - _ASKING, stems(second) - stems(first) - _ASKING)
        return _two(own, (first.strip(), second.strip()), asked, statements) if all(own) else None
    return _of_a_kind(asked, statements) if extreme and units else None


def _statements(number: int, text: str, units: frozenset[str]) -> Iterator[_Statement]:
    """The sentences and lines with quantities in these units, in any where there are none."""
    for start, end in sentences(text):
        at = start
        for line in text[start:end].split("\n\n"):
            found = tuple(one for one in quantities(line) if _counts(one, units))
            if found:
                yield _Statement(number, at, at + len(line), line, stems(line), found)
            at += len(line) + 2


def _counts(one: Quantity, units: frozenset[str]) -> bool:
    """Whether a quantity may be what is compared: in one of the units, or where there are none anything but a year."""
    return one.unit in units if units else bool(one.unit) or not years(str(one.value))


def _two(
    own: tuple[frozenset[str], frozenset[str]], names: tuple[str, str], asked: frozenset[str],
    statements: Sequence[_Statement],
) -> tuple[Named, ...] | None:  # fmt: skip
    """The best statement of each of two things, in one unit; those of one piece before others."""
    options = [[_named(name, one, words) for one in statements if words <= one.words] for words, name in
               zip(own, names, strict=True)]  # fmt: skip
    best, most = None, -1.0
    rest = asked - own[0] - own[1] - _ASKING
    for first in options[0]:
        for second in options[1]:
            words = _words_of(first, statements) | _words_of(second, statements)
            if not rest <= words:
                continue  # of something else
            if _place(first) == _place(second) or not alike(first.quantity.unit, second.quantity.unit):
                continue
            shared = len(asked & _words_of(first, statements)) + len(asked & _words_of(second, statements))
            score = shared + (first.piece == second.piece) - 0.1 * (first.piece + second.piece)
            if score > most:
                best, most = (first, second), score
    return best


def _place(named: Named) -> tuple[int, int, int]:
    return named.piece, named.start, named.quantity.start


def _words_of(named: Named, statements: Sequence[_Statement]) -> frozenset[str]:
    return next(one.words for one in statements if (one.piece, one.start) == (named.piece, named.start))


def _named(name: str, statement: _Statement, words: frozenset[str]) -> Named:
    """The quantity of a statement that stands nearest to the words that name it."""
    times = frozenset(word for word in words if word in MONTHS or years(word))  # these tell, where there are any
    spans = [match.span() for match in re.finditer(r"\w+", statement.text) if stems(match[0]) & (times or words)]

    def distance(one: Quantity) -> int:
        return min((max(one.start - end, start - one.end) for start, end in spans), default=0)

    breaks = [match.start() for match in _BREAK.finditer(statement.text)]
    parts = {bisect(breaks, start) for start, _ in spans}
    near = [one for one in statement.quantities if bisect(breaks, one.start) in parts]  # of the same clause
    chosen = min(near or statement.quantities, key=distance)
    return Named(name, chosen, statement.piece, statement.start, statement.end)


def _of_a_kind(asked: frozenset[str], statements: Sequence[_Statement]) -> tuple[Named, ...] | None:
    """Statements of one piece that share a word of the question, each with one quantity, all in one unit."""
    for piece in dict.fromkeys(one.piece for one in statements):
        single = [one for one in statements if one.piece == piece and len(one.quantities) == 1]
        for word in sorted(asked - _ASKING):
            mine = [one for one in single if word in one.words]
            named = [Named(_subject(one), one.quantities[0], piece, one.start, one.end) for one in mine]
            of_unit = [one for one in named if one.quantity.unit == named[0].quantity.unit and one.name]
            if len(of_unit) > 1 and len({one.name for one in of_unit}) == len(of_unit):
                return tuple(of_unit)
    return None


def _subject(statement: _Statement) -> str:
    """What stands before the quantity, without its verb: "North gate: 1.92 m" is of "North gate"."""
    before = statement.text[: statement.quantities[0].start].strip(" :,-\n")
    before = re.split(r"\n(?=[A-Z0-9])", before)[-1].replace("\n", " ")  # a wrapped line goes on in lower case
    before = re.sub(r"\s+\b(?:is|was|are|were|weighs?|measures?|has|had|costs?|takes?|took)\b.*$", "", before)
    return before if len(before) <= 60 else ""
