"""Quantities in text: a number with its unit, where it stands. Pure.

In: a text. Out: `Quantity` objects with spans. Numbers are read as English writes them: "1,284,600", "£4,870", "57.6
%", "(5,550)" and "-5,550" for less than nothing. What looks like a date, a time, a code or a version is no quantity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from rag.word_lists import read_lists

WORDS = read_lists(Path(__file__).with_name("words.toml"))
CURRENCIES = "".join(WORDS["units"]["currencies"])
_SIGNS = re.escape(CURRENCIES)
_SPELLINGS = {name: unit for unit, names in WORDS["units"]["spellings"].items() for name in [unit, *names]}
_NUMBER_WORDS = {word: Decimal(value) for word, value in WORDS["numbers"].items()}

SHORT = 3  # words of a header whose first one may be its unit: "Days milled"
DIGITS = 15  # of a quantity at most: what has more is a number of an account or an article
NOTHING = ("-", "—", "–", "−")  # what tables have in place of 0

_UNIT = "|".join(re.escape(name) for name in sorted(_SPELLINGS, key=len, reverse=True))
_NUMBER = r"\d{1,3}(?:[,_]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_QUANTITY = re.compile(
    rf"(?<![\w.,/:#-])(?P<sign>[-−–+])?\s?(?P<currency>[{_SIGNS}])?\s*(?P<open>\(\s?)?(?P<sign2>[-−–])?"
    rf"(?P<inner>[{_SIGNS}])?\s?(?P<number>{_NUMBER})\s?(?P<percent>%)?(?P<close>\s?\))?"
    rf"(?:[\s-]?(?P<unit>{_UNIT})(?![\w]))?(?![\w/:]|[.,]\d|-\d)"
)
_SPELLED = re.compile(
    rf"\b(?P<number>{'|'.join(sorted(_NUMBER_WORDS, key=len, reverse=True))})\b(?:[\s-](?P<unit>{_UNIT})\b)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """text[start:end] says `value` in `unit`; "" for a plain number. places: decimals that are written."""

    value: Decimal
    unit: str
    start: int
    end: int
    places: int = 0


def quantities(text: str) -> list[Quantity]:
    """The quantities of a text, in order."""
    found = [_quantity(match) for match in _QUANTITY.finditer(text)]
    taken = [(one.start, one.end) for one in found]
    for match in _SPELLED.finditer(text):
        if match["unit"] and not any(start < match.end() and match.start() < end for start, end in taken):
            value = _NUMBER_WORDS[match["number"].lower()]
            found.append(Quantity(value, unit_of(match["unit"]), match.start(), match.end()))
    return sorted(found, key=lambda one: one.start)


def quantity_of(cell: str) -> Quantity | None:
    """The quantity that a cell of a table is, None where it holds more than one, or words beside it. A dash is 0."""
    if cell.strip(CURRENCIES + " ") in NOTHING:
        return Quantity(Decimal(), "", 0, len(cell))
    found = [_quantity(match) for match in _QUANTITY.finditer(cell)]
    if len(found) != 1 or len(found[0].value.as_tuple().digits) > DIGITS:
        return None
    around = cell[: found[0].start] + cell[found[0].end :]
    return None if re.search(r"[^\W_]", around) else found[0]


@lru_cache(maxsize=1024)
def unit_of(name: str) -> str:
    """The unit that a word means, "" for none: "kilograms" is kg."""
    return _SPELLINGS.get(name) or _SPELLINGS.get(name.lower(), "")


def unit_in(header: str) -> str:
    """The unit that the header of a column names: "Wholemeal kg", "height_m", "Service every (months)"; "" for none."""
    words = re.findall(r"[^\s_()\[\],/]+", header)
    for word in [*words[-1:], *words[: len(words) <= SHORT]]:  # "Years ended 31 December 2018" counts no years
        if unit := unit_of(word):
            return unit
    return next((sign for sign in CURRENCIES if sign in header), "")


def _quantity(match: re.Match[str]) -> Quantity:
    number = match["number"].replace(",", "").replace("_", "")
    negative = (match["sign"] or match["sign2"] or "+") in "-−–"
    in_brackets = match["open"] is not None and match["close"] is not None
    value = -Decimal(number) if negative or in_brackets else Decimal(number)
    money = match["currency"] or match["inner"] or ""
    unit = money or (match["percent"] or "") or (unit_of(match["unit"]) if match["unit"] else "")
    start, end = match.span()
    if match["open"] and not match["close"]:
        start = match.end("open")
    if match["close"] and not match["open"]:
        end, unit = match.start("close"), money or match["percent"] or ""
    blanks = len(match.string[start:end]) - len(match.string[start:end].lstrip())
    return Quantity(value, unit, start + blanks, end, len(number.partition(".")[2]))
