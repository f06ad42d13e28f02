"""From a question to the expressions that the channels are asked with.

In: a question, and the earlier ones of its conversation. Out: words and an FTS5 expression for BM25, the share of the
image channel, whether a picture is asked for, and the question as it is searched. Knows no index and no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from indexing.index import quote
from rag.calibration import ImageShares
from rag.dates import days, spellings
from rag.question_kind import ABOUT_US, CUES, SMALL_TALK, Kind, has_subject, kinds_of
from rag.types import Query
from rag.word_lists import any_of
from rag.words import STOP_WORDS, WORD_LISTS

LONGEST = 64  # words of a query that BM25 is asked for: a pasted page must not take seconds
OWN_WORDS = 2  # a question with fewer content words is a follow-up
FOLLOW_UP_WORDS = 8  # a question with more content words stands alone, whatever it points to

# Least chance of these kinds: a question about the documents must not be met with small talk.
SURE = dict.fromkeys(ABOUT_US, 0.9)
POSSIBLE = 0.003  # least chance of a kind that is tried where a look-up finds nothing

_WORD = re.compile(r"\w+")
_PHRASE = re.compile(r'"([^"]+)"')


def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A question that names a picture, one that begins by asking for a picture, and one that is a picture's name."""
    lists = {name: "|".join(words) for name, words in WORD_LISTS["pictures"].items()}
    showing = rf"(?:\w+\s+)?(?:{lists['names']})\s+(?:that |which )?(?:{lists['shows']})\b(.*)"
    which = re.compile(rf"\s*(?:{lists['which']})\s+{showing}", re.IGNORECASE | re.DOTALL)
    named = re.compile(rf"\s*(?:(?:the|an?)\s+)?{showing}", re.IGNORECASE | re.DOTALL)
    return any_of([lists["names"], lists["looks"]]), which, named


_PICTURE, _WHICH_PICTURE, _PICTURE_OF = _patterns()
_FOLLOW_UP = re.compile(
    rf"^\s*({'|'.join(WORD_LISTS['follow_up']['beginnings'])})\b|\b({'|'.join(WORD_LISTS['follow_up']['pointers'])})\b",
    re.IGNORECASE,
)


def words(question: str) -> list[str]:
    """The words that BM25 looks for: each once, without stop words unless there are no others."""
    found = list(dict.fromkeys(_WORD.findall(question.casefold())))
    return ([word for word in found if word not in STOP_WORDS] or found)[:LONGEST]


def image_share(question: str, shares: ImageShares, *, given: bool) -> float:
    """How much the image channel counts, 0..1. given: a picture is searched with.

    A question that names something drawn or photographed is more likely to ask for it.
    """
    if given:
        return shares.given
    return shares.named if _PICTURE.search(question) else shares.unnamed


def asks_for_picture(question: str) -> bool:
    """Whether a question asks for a picture: "Which diagram shows the water cycle?", "photo of a red door"."""
    found = _showing(question)
    return found is not None and bool(found[1].strip(" ?.!"))


def to_be_shown(question: str) -> str:
    """What a picture must show to answer a question."""
    found = _showing(question)
    return found[1] if found else _PICTURE.sub(" ", question)


def _showing(question: str) -> re.Match[str] | None:
    return _WHICH_PICTURE.match(question) or (None if "?" in question else _PICTURE_OF.match(question))


def match_expression(query: Query) -> str:
    """The FTS5 expression of a query: any of its words. "" for none.

    A phrase in quotation marks counts as one more, and so does each way in which a calendar day is written.
    """
    phrases = [phrase for phrase in _PHRASE.findall(query.text) if len(_WORD.findall(phrase)) > 1]
    phrases += [spelling for day in days(query.text) for spelling in spellings(day)]
    return " OR ".join(quote(part) for part in [*query.words, *phrases])


def understand(question: str, history: Sequence[str] = ()) -> Query:
    """A question as every later step takes it. history: the earlier questions of its conversation, oldest first."""
    text = question
    kind, other = _kinds(text)
    if history and kind not in ABOUT_US:  # thanks are no follow-up
        text = standalone(question, history)
        kind, other = _kinds(text)
    return Query(question, text, tuple(words(text)), asks_for_picture(text), kind, other)


def _kinds(text: str) -> tuple[Kind, Kind | None]:
    """The kind of a question, and what may be computed where it looks like a look-up."""
    (kind, chance), *others = kinds_of(text)
    if chance < SURE.get(kind, 0.0) or (kind in SMALL_TALK and has_subject(text)):
        kind = Kind.LOOK_UP
    possible = (one for one, likely in others if likely >= POSSIBLE)
    other = next((one for one in possible if one in CUES and CUES[one].search(text)), None)
    return kind, other if kind is Kind.LOOK_UP else None


def standalone(question: str, history: Sequence[str]) -> str:
    """The question as it is searched: a follow-up carries the question before it along.

    history: the earlier questions of the conversation, oldest first. A question that points back ("and who built it?")
    or has hardly a word of its own is a follow-up; any other is searched as it stands.
    """
    own = [word for word in _WORD.findall(question.casefold()) if word not in STOP_WORDS]
    points_back = len(own) < OWN_WORDS or _FOLLOW_UP.search(question)
    if not history or not points_back or len(own) > FOLLOW_UP_WORDS:
        return question
    return f"{standalone(history[-1], history[:-1])} {question}"
