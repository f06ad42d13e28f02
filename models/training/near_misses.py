"""Near misses made by script: an answerable question with one name, number or date changed, or one word turned into its opposite, so that its passage no
longer answers it.

After the adversarial questions of Jia and Liang (arXiv 1707.07328); opposites are a fifth of what people write (SQuAD 2.0, arXiv 1806.03822). Knows nothing of tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from models.training.question_sets import QaRow
from models.training.table_contexts import YEAR, stands

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAME = r"[A-Z][\w'’-]+(?: (?:of |the |de )?[A-Z][\w'’-]+)*"
_CHANGEABLE = re.compile(rf"(?<![\w.])(?:\d[\d.,/-]*\d|\d|(?<=\w )(?<=[^.?!] )?{_NAME})(?!\w)")
TRIES = 8
_PAIRS = """
    first/last before/after largest/smallest biggest/smallest highest/lowest most/least more/fewer increase/decrease increased/decreased rise/fall
    rose/fell north/south northern/southern east/west eastern/western best/worst oldest/youngest oldest/newest longest/shortest early/late
    earliest/latest begin/end began/ended start/finish started/stopped founded/closed won/lost win/lose winner/loser maximum/minimum upper/lower
    inside/outside above/below always/never true/false male/female men/women father/mother husband/wife king/queen import/export imported/exported
    buy/sell bought/sold arrive/leave arrived/left open/close opened/closed public/private rich/poor strong/weak hot/cold heavy/light fast/slow
    support/oppose supported/opposed accept/reject accepted/rejected allowed/banned agreed/refused advantage/disadvantage positive/negative
    internal/external similar/different
"""
OPPOSITES = {word: other for pair in _PAIRS.split() for word, other in (pair.split("/"), pair.split("/")[::-1])}


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
    turned = [word for word in re.findall(r"[a-z]+", row.question) if word in OPPOSITES and not stands(OPPOSITES[word], about)]
    if row.unanswerable or not there + turned:
        return None
    text = rng.choice(there + turned)
    if text in turned:
        return replace(row, id=f"{row.id}-twin", question=re.sub(rf"\b{text}\b", OPPOSITES[text], row.question), answers=(), unanswerable=True)
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
