"""From a question to the expressions that the channels are asked with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from indexing.index import quote
from rag.calibration import ImageShares
from rag.dates import days, spellings
from rag.types import Query
from rag.words import STOP_WORDS

LONGEST = 64  # words of a query that BM25 is asked for: a pasted page must not take seconds
_WORD = re.compile(r"\w+")
_NAMES = (
    "pictures?|photos?|photographs?|images?|figures?|diagrams?|drawings?|sketch(?:es)?|charts?|graphs?|plots?|maps?|icons?|logos?|emojis?|slides?|"
    "screenshots?|scans?|illustrations?|symbols?"
)
_PICTURE = re.compile(rf"\b({_NAMES}|look(s|ed)? like)\b", re.IGNORECASE)
_SHOWING = rf"(?:\w+\s+)?(?:{_NAMES})\s+(?:that |which )?(?:shows?|showing|depicts?|depicting|illustrates?|of|with)\b(.*)"
_WHICH = re.compile(
    rf"\s*(?:which|what|(?:show|find)(?: me)?(?: the| an?| all| any)?|(?:is there|do (?:you|we|i) have) (?:an?|any)|where is the)\s+{_SHOWING}", re.IGNORECASE | re.DOTALL
)
_NAMED = re.compile(rf"\s*(?:(?:the|an?)\s+)?{_SHOWING}", re.IGNORECASE | re.DOTALL)
_PHRASE = re.compile(r'"([^"]+)"')
_FOLLOWS = re.compile(
    r"^\s*(and|but|so|then|also|or|what about|how about|why not|why|how so|which one|who else|what else|where else|when was that|"
    r"more|tell me more|go on|really|are you sure)\b|\b(it|its|they|them|their|theirs|he|him|his|she|her|hers|that|those|this|these|"
    r"there|one|ones|same|former|latter|first one|second one|other one)\b", re.IGNORECASE
)


def words(question: str) -> list[str]:
    """The words that BM25 looks for: each once, without stop words unless there are no others."""
    found = list(dict.fromkeys(_WORD.findall(question.casefold())))
    return ([word for word in found if word not in STOP_WORDS] or found)[:LONGEST]


def image_share(question: str, shares: ImageShares, *, given: bool) -> float:
    """How much the image channel counts, 0..1. given: a picture is searched with.

    A question that names something drawn or photographed wants to see it.
    """
    if given:
        return shares.given
    return shares.named if _PICTURE.search(question) else shares.unnamed


def asks_for_picture(question: str) -> bool:
    """Whether a question asks for a picture that shows something: "Which diagram shows the water cycle?", "photo of a red door"."""
    found = _showing(question)
    return found is not None and bool(found[1].strip(" ?.!"))


def to_be_shown(question: str) -> str:
    """What a picture is to show that answers a question."""
    found = _showing(question)
    return found[1] if found else _PICTURE.sub(" ", question)


def _showing(question: str) -> re.Match[str] | None:
    return _WHICH.match(question) or (None if "?" in question else _NAMED.match(question))


def match_expression(query: Query) -> str:
    """The FTS5 expression of a query: any of its words. "" for none.

    A phrase in quotation marks counts as one more, and so does a calendar day in each way that it is written.
    """
    phrases = [phrase for phrase in _PHRASE.findall(query.text) if len(_WORD.findall(phrase)) > 1]
    phrases += [spelling for day in days(query.text) for spelling in spellings(day)]
    return " OR ".join(quote(part) for part in [*query.words, *phrases])


def understand(question: str, history: Sequence[str] = ()) -> Query:
    """A question, and the earlier ones of its conversation, oldest first -> one that stands alone, with what it asks for."""
    text = standalone(question, history)
    return Query(question, text, tuple(words(text)), asks_for_picture(text))


def standalone(question: str, history: Sequence[str]) -> str:
    """The question as it is searched: a follow-up carries the question before it along.

    history: the earlier questions of the conversation, oldest first. A question that points back ("and who built it?")
    or has hardly a word of its own is a follow-up; any other is searched as it stands.
    """
    own = [word for word in _WORD.findall(question.casefold()) if word not in STOP_WORDS]
    if not history or not (len(own) < 2 or _FOLLOWS.search(question)) or len(own) > 8:
        return question
    return f"{standalone(history[-1], history[:-1])} {question}"
