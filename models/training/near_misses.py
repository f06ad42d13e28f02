"""Near misses: an answerable question changed by rule so that its passage no longer answers it.

One name, number or date of the question is replaced, or one word by its opposite. After the adversarial questions of
Jia and Liang (arXiv 1707.07328); a fifth of the unanswerable questions that people write have an opposite (SQuAD 2.0,
arXiv 1806.03822). Knows nothing of tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from models.training.question_sets import QaRow
from models.training.table_contexts import YEAR, has_words

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAME = r"[A-Z][\w'’-]+(?: (?:of |the |de )?[A-Z][\w'’-]+)*"
_CHANGEABLE = re.compile(rf"(?<![\w.])(?:\d[\d.,/-]*\d|\d|(?<=\w )(?<=[^.?!] )?{_NAME})(?!\w)")
TRIES = 8  # replacements drawn before a question is given up
YEARS_APART = 12  # a year is replaced by one at most so far away
NAMES_TRIED = 20  # names drawn from the pool, to find one of as many words
_PAIRS = """
    first/last before/after largest/smallest biggest/smallest highest/lowest most/least more/fewer increase/decrease
    increased/decreased rise/fall rose/fell north/south northern/southern east/west eastern/western best/worst
    oldest/youngest oldest/newest longest/shortest early/late earliest/latest begin/end began/ended start/finish
    started/stopped founded/closed won/lost win/lose winner/loser maximum/minimum upper/lower inside/outside above/below
    always/never true/false male/female men/women father/mother husband/wife king/queen import/export imported/exported
    buy/sell bought/sold arrive/leave arrived/left open/close opened/closed public/private rich/poor strong/weak
    hot/cold heavy/light fast/slow support/oppose supported/opposed accept/reject accepted/rejected allowed/banned
    agreed/refused
    advantage/disadvantage positive/negative internal/external similar/different
"""
OPPOSITES = {word: other for pair in _PAIRS.split() for word, other in (pair.split("/"), pair.split("/")[::-1])}


def names(rows: Iterable[QaRow]) -> list[str]:
    """The distinct names in questions, in order, without a question's first word, months and days."""
    found = (text for row in rows for text in changeable(row.question) if text[0].isalpha())
    return [name for name in dict.fromkeys(found) if name not in MONTHS + DAYS]


def changeable(question: str) -> list[str]:
    """Its names and numbers, but for one at its beginning."""
    return [match[0] for match in _CHANGEABLE.finditer(question) if match.start()]


def near_miss(row: QaRow, pool: Sequence[str], rng: random.Random) -> QaRow | None:
    """The question with something of its passage changed into something that is not in the passage.

    None where nothing can be changed. pool: names that may replace a name.
    """
    about = f"{row.title}\n{row.context}"
    there = [text for text in changeable(row.question) if has_words(about, text)]
    words = re.findall(r"[a-z]+", row.question)
    opposed = [word for word in words if word in OPPOSITES and not has_words(about, OPPOSITES[word])]
    if row.unanswerable or not there + opposed:
        return None
    text = rng.choice(there + opposed)
    if text in opposed:
        return _changed(row, re.sub(rf"\b{text}\b", OPPOSITES[text], row.question))
    for _ in range(TRIES):
        other = _replacement(text, pool, rng)
        if other and not has_words(about, other) and not has_words(row.question, other):
            return _changed(row, other.join(re.split(rf"(?<!\w){re.escape(text)}(?!\w)", row.question)))
    return None


def _changed(row: QaRow, question: str) -> QaRow:
    return replace(row, id=f"{row.id}-near-miss", question=question, answers=(), unanswerable=True)


def _replacement(text: str, pool: Sequence[str], rng: random.Random) -> str:
    """Something of the same kind as a name or number, perhaps itself; "" where there is none."""
    for group in (MONTHS, DAYS):
        if text in group:
            return rng.choice(group)
    if YEAR.fullmatch(text):
        return str(int(text) + rng.choice((-1, 1)) * rng.randint(1, YEARS_APART))
    if text[0].isdigit():
        return re.sub(r"\d", lambda digit: digit[0] if rng.random() < 0.5 else rng.choice("123456789"), text)
    drawn = rng.sample(pool, min(len(pool), NAMES_TRIED))
    return next((name for name in drawn if name.count(" ") == text.count(" ")), "")
