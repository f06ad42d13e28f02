"""Calendar days and years in running text, however they are written: "17 August 2023" finds a row of 2023-08-17.

In: an English text. Out: the days that it names in full, the years that it names. Ambiguous days are not guessed.
"""

from __future__ import annotations

import re
from datetime import date

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join(rf"{name[:3]}(?:{name[3:]})?" for name in _MONTHS)
_ORDINAL = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DAYS = (
    re.compile(rf"\b{_ORDINAL} (?:of )?(?P<month>{_MONTH})\.?,? (?P<year>\d{{4}})\b", re.IGNORECASE),
    re.compile(rf"\b(?P<month>{_MONTH})\.? {_ORDINAL},? (?P<year>\d{{4}})\b", re.IGNORECASE),
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b"),
)
# A year of 1800 to 2099, and perhaps a second one of two digits: 2021-22.
_YEARS = re.compile(r"(?<![\d.,_])((?:1[89]|20)\d\d)(?:[-–/](\d\d)(?![-–/\d]))?(?![\ds]|[.,]\d)")


def years(text: str) -> frozenset[int]:
    """The years that a text names, 2021-22 both of them, not those of 1706.03762, IMG_2034 or the 1930s."""
    found = set()
    for first, last in _YEARS.findall(text):
        found.add(int(first))
        if last > first[2:]:
            found.add(int(first[:2] + last))
    return frozenset(found)


def days(text: str) -> tuple[date, ...]:
    """The days that a text names in full, each once. Forms like 03/04/2023 are left out: their order is not known."""
    found = []
    for match in (match for pattern in _DAYS for match in pattern.finditer(text)):
        try:
            found.append(date(int(match["year"]), _month(match["month"].lower()), int(match["day"])))
        except ValueError:  # 31 June
            continue
    return tuple(dict.fromkeys(found))


def month_names() -> tuple[str, ...]:
    """The English months, January first, in lower case."""
    return _MONTHS


def spellings(day: date) -> tuple[str, ...]:
    """How a text may name a day, as phrases of words."""
    month = _MONTHS[day.month - 1]
    return (f"{day:%Y %m %d}", f"{day.day} {month} {day.year}", f"{month} {day.day} {day.year}")


def _month(name: str) -> int:
    """1..12 of a month in digits, or of its name in lower case or the first three letters of it."""
    return int(name) if name.isdigit() else next(at for at, month in enumerate(_MONTHS, 1) if month[:3] == name[:3])
