"""What a question measures, by its adjectives and verbs: "heavier" asks for a mass, "widest" for a length. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from rag.calculate.quantities import WORDS
from rag.words import stems

_MEASURES = [(stems(entry["stems"]), frozenset(entry["units"]), entry.get("bare", False)) for entry in
             WORDS["measures"].values()]  # fmt: skip
MEASURING = frozenset().union(*(words for words, _, _ in _MEASURES))


def units_of(asked: frozenset[str]) -> frozenset[str]:
    """The units that fit the stems of a question; none where it measures nothing in particular."""
    return frozenset().union(*(units for words, units, _ in _MEASURES if words & asked))


def fits(asked: frozenset[str], units: Iterable[str]) -> bool:
    """Whether quantities in these units may be what the question measures. "" is a plain number; any percentage may."""
    measured = [(fitting, bare) for words, fitting, bare in _MEASURES if words & asked]
    if not measured:
        return True
    return all(
        unit == "%" or any(unit in fitting or (bare and not unit) for fitting, bare in measured) for unit in units
    )
