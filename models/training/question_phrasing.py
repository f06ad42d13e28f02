"""Templates of questions for a table cell, as people ask: in sentences or in keywords.

A question names the column of the cell or, where that is a date, a place or a person, asks "when", "where" or "who". In
templates {c} is the column asked for, {k} a cell of its row, {h} the column of that cell; {k2} and {h2} are another
such pair.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from models.training.table_contexts import YEAR

OF = (
    "What is the {c} of {k}?", "What was the {c} of {k}?", "Which {c} does {k} have?", "What {c} does {k} have?",
    "What is the {c} for {k}?", "{k} {c}", "{c} {k}", "{c} for {k}?", "{c} of {k}", "{k}: {c}?",
    "What {c} is given for {k}?", "Tell me the {c} of {k}.", "Find the {c} for {k}", "I need the {c} of {k}",
    "For {k}, what is the {c}?", "Which {c} is listed for {k}?",
)  # fmt: skip
IN_YEAR = (
    "What was the {c} in {k}?", "What is the {c} for {k}?", "{c} {k}", "{c} in {k}?", "{k} {c}",
    "Which {c} is listed for {k}?", "In {k}, what was the {c}?",
)
ON_DATE = (
    "What was the {c} on {k}?", "{c} on {k}?", "{c} {k}", "{k} {c}", "On {k}, what was the {c}?",
    "Which {c} is listed for {k}?",
)  # fmt: skip
YEAR_ASKED = (  # the column is a year
    "What was {k} in {c}?", "{k} in {c}?", "{k} {c}", "{c} {k}", "What is the figure of {k} for {c}?",
    "What does {k} show for {c}?",
)  # fmt: skip
NAMED = (
    "What is the {c} where the {h} is {k}?", "Which {c} has the {h} {k}?", "{c} with {h} {k}",
    "What is the {c} with {h} {k}?", "{c} when {h} is {k}?", "Which {c} goes with the {h} {k}?",
    "What was the {c} when the {h} was {k}?", "{h} {k}: {c}?", "Which {c} had {k} as {h}?",
)  # fmt: skip
TWO = (
    "What is the {c} of {k} with {h2} {k2}?", "What was the {c} of {k} when the {h2} was {k2}?", "{k} {h2} {k2} {c}",
    "{c} of {k}, {h2} {k2}?", "Which {c} does {k} have where the {h2} is {k2}?",
    "For {k} and {h2} {k2}, what is the {c}?",
)  # fmt: skip
TWO_YEAR = (
    "What was the {c} of {k} in {k2}?", "{c} {k} {k2}", "{k} {k2} {c}?",
    "In {k2}, what was the {c} of {k}?", "Which {c} did {k} have in {k2}?",
)
ALONE = (
    "What is the {c}?", "What was the {c}?", "{c}?", "{c}", "Which {c} is given?", "Give the {c}.",
    "What {c} is stated?", "Find the {c}",
)  # fmt: skip
WHO = ("Who is the {c} of {k}?", "Who was the {c} of {k}?", "Who was the {c} for {k}?", "{k} {c}?")
MANY = ("How many {c} does {k} have?", "How many {c} did {k} have?", "How many {c} for {k}?", "Number of {c} of {k}")
BY = ("Who was {k} {c}?", "{k} {c} whom?", "Who is named under {c} for {k}?")
DONE = ("When was {k} {c}?", "{k} {c} when?", "In which year was {k} {c}?")
# these do not name the column that they ask for: used only where no other column would answer them
VAGUE = {
    "when": ("When was {k}?", "When is {k}?"),
    "where": ("Where was {k}?", "Where is {k}?"),
    "who": ("Who has the {h} {k}?", "Who had a {h} of {k}?"),
}

# the last word of a column's name -> how it is asked for
ASKED_BY = {
    "who": "name player driver rider director winner champion coach manager captain author artist incumbent candidate "
    "writer producer president mayor owner athlete swimmer actor actress singer composer skater representative senator "
    "chairman runner",
    "where": "location venue city town hometown site stadium circuit arena",
    "when": "date year airdate season",
    "many": "points goals wins losses laps seats medals games appearances caps podiums poles matches episodes students "
    "members votes tries assists rebounds races gold silver bronze draws",
    "done": "founded established opened built completed born released introduced launched formed elected",
}
_ASKED_BY = {word: kind for kind, words in ASKED_BY.items() for word in words.split()}
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Lookup:
    """The column asked for, and the cells that name its row: (name of their column, the cell or a part of it)."""

    column: str
    keys: tuple[tuple[str, str], ...]
    named: bool  # the key is ambiguous without the name of its column
    sole: bool  # no other column is asked for in the same way


def asked_by(header: str) -> str | None:
    """The key of ASKED_BY of a column: by the last word of its name, without what is in brackets."""
    words = WORD.findall(header.split("(")[0].casefold())
    return _ASKED_BY.get(words[-1]) if words else None


def question(lookup: Lookup, value: str, rng: random.Random) -> str:
    """A question that `value` answers. Half of them have column names in lower case, as people type."""
    template = rng.choice(_templates(lookup, value, rng))
    lower = rng.random() < 0.5
    (h, k), (h2, k2) = (*lookup.keys, ("", ""), ("", ""))[:2]
    c, h, h2 = (name.lower() if lower else name for name in (lookup.column, h, h2))
    return template.format(c=c, h=h, k=k, h2=h2, k2=k2).strip()


def _templates(lookup: Lookup, value: str, rng: random.Random) -> tuple[str, ...]:
    asked, digits = asked_by(lookup.column), any(letter.isdigit() for letter in value)
    if not lookup.keys:
        return ALONE
    if len(lookup.keys) == 2:
        return TWO_YEAR if YEAR.fullmatch(lookup.keys[1][1]) else TWO
    if lookup.named:
        return VAGUE["who"] if asked == "who" and lookup.sole and rng.random() < 0.3 else NAMED
    if YEAR.fullmatch(lookup.column):
        return YEAR_ASKED
    if asked_by(lookup.keys[0][0]) == "when":
        return ON_DATE if lookup.keys[0][0].casefold().endswith("date") else IN_YEAR
    if rng.random() < 0.5:
        return OF
    if lookup.column.casefold().endswith(" by"):
        return BY
    plain = lookup.column.casefold()
    if asked in ("when", "where") and lookup.sole and plain in _ASKED_BY and (asked == "where" or digits):
        return VAGUE[asked]
    by_kind = {"done": DONE if digits else OF, "many": MANY if digits else OF, "who": OF if plain == "name" else WHO}
    return by_kind.get(asked or "", OF)
