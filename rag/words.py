"""Content words: what two texts are compared by. No frequencies, no stemming: equal words only, so that it can be explained."""

from __future__ import annotations

import re
from functools import lru_cache

# Scripts without spaces between words (Han, kana, Thai, Hangul syllables) count by the character.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[0-9]+(?:[.,][0-9]+)*|[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W\d_])+|\d")
_THOUSANDS = re.compile(r",(?=[0-9]{3}(?![0-9]))")

# Negations are no stop words: "is heated" and "is not heated" must not compare as equal.
_STOP = """
a about above after again against all also am an and any are as at be because been before being below between both but by
can could did do does doing down during each either else ever few for from further had has have having he her here hers
herself him himself his how however i if in into is it its itself just let may me might more most much must my myself no of
off on once only or other our ours ourselves out over own per s same shall she should so some such t than that the their
theirs them themselves then there these they this those through thus to too under until up upon us very was we were what
when where whether which while who whom whose why will with within would yes yet you your yours yourself ll re ve d m
"""
STOP_WORDS = frozenset(_STOP.split())


def content_words(text: str) -> frozenset[str]:
    """The distinct words that carry meaning: lower case, without stop words; numbers without thousands separators."""
    folded = _THOUSANDS.sub("", text.casefold().replace("’", "'"))
    folded = folded.replace("cannot", "can not").replace("can't", "can not").replace("won't", "will not").replace("n't", " not")
    return frozenset(_WORD.findall(folded)) - STOP_WORDS


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The stem that English inflections of a word share (Porter 2)."""
    return _stemmer().stemWord(word)


@lru_cache(maxsize=1)
def _stemmer():
    import snowballstemmer

    return snowballstemmer.stemmer("english")
