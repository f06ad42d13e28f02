"""Calendar days and years in running text, however they are written, so that "17 August 2023" finds a row of 2023-08-17."""

from __future__ import annotations

import re
from datetime import date

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_MONTH = "|".join(rf"{name[:3]}(?:{name[3:]})?" for name in _MONTHS)
_PATTERNS = (
    re.compile(rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<month>{_MONTH})\.?,? (?P<year>\d{{4}})\b", re.IGNORECASE),
    re.compile(rf"\b(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})\b", re.IGNORECASE),
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b"),
)


_YEARS = re.compile(r"(?<![\d.,_])((?:1[89]|20)\d\d)(?:[-–/](\d\d)(?![-–/\d]))?(?![\ds]|[.,]\d)")


def years(text: str) -> frozenset[int]:
    """The years that a text names, 2021-22 both of them, not those of 1706.03762, IMG_2034 or the 1930s."""
    return frozenset(year for first, last in _YEARS.findall(text) for year in (int(first), *([int(first[:2] + last)] if last > first[2:] else [])))


def days(text: str) -> tuple[date, ...]:
    """The days that a text names in full, each once. Forms like 03/04/2023 are left out: nobody can tell which they mean."""
    found = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            month = match["month"].lower()
            number = int(month) if month.isdigit() else next(i for i, name in enumerate(_MONTHS, 1) if name.startswith(month[:3]))
            try:
                found.append(date(int(match["year"]), number, int(match["day"])))
            except ValueError:  # 31 June
                continue
    return tuple(dict.fromkeys(found))


def spellings(day: date) -> tuple[str, ...]:
    """How a text may name a day, as phrases of words."""
    month = _MONTHS[day.month - 1]
    return (f"{day:%Y %m %d}", f"{day.day} {month} {day.year}", f"{month} {day.day} {day.year}")
