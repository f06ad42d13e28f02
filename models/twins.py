"""Near misses made by script: an answerable question with one name, number or date changed, so that its passage no longer answers it.

After the adversarial questions of Jia and Liang (arXiv 1707.07328). Knows nothing of tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from models.qa import QaRow
from models.tables import YEAR, stands

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAME = r"[A-Z][\w'’-]+(?: (?:of |the |de )?[A-Z][\w'’-]+)*"
_CHANGEABLE = re.compile(rf"(?<![\w.])(?:\d[\d.,/-]*\d|\d|(?<=\w )(?<=[^.?!] )?{_NAME})(?!\w)")
TRIES = 8


def names(rows: Iterable[QaRow]) -> list[str]:
    """The names that stand in questions, after their first word, in order and each once."""
    found = (text for row in rows for text in changeable(row.question) if text[0].isalpha())
    return [name for name in dict.fromkeys(found) if name not in MONTHS + DAYS]


def changeable(question: str) -> list[str]:
    return [match[0] for match in _CHANGEABLE.finditer(question) if match.start()]


def twin(row: QaRow, pool: Sequence[str], rng: random.Random) -> QaRow | None:
    """The question with something of its passage changed into something that is not there; None where there is nothing to change.

    pool: names to change a name into.
    """
    about = f"{row.title}\n{row.context}"
    there = [text for text in changeable(row.question) if stands(text, about)]
    if row.unanswerable or not there:
        return None
    text = rng.choice(there)
    for _ in range(TRIES):
        other = _other(text, pool, rng)
        if other and not stands(other, about) and not stands(other, row.question):
            question = other.join(re.split(rf"(?<!\w){re.escape(text)}(?!\w)", row.question))
            return replace(row, id=f"{row.id}-twin", question=question, answers=(), unanswerable=True)
    return None


def _other(text: str, pool: Sequence[str], rng: random.Random) -> str:
    for group in (MONTHS, DAYS):
        if text in group:
            return rng.choice(group)
    if YEAR.fullmatch(text):
        return str(int(text) + rng.choice((-1, 1)) * rng.randint(1, 12))
    if text[0].isdigit():
        return re.sub(r"\d", lambda digit: digit[0] if rng.random() < 0.5 else rng.choice("123456789"), text)
    like = [name for name in rng.sample(pool, min(len(pool), 20)) if name.count(" ") == text.count(" ")]
    return like[0] if like else ""
