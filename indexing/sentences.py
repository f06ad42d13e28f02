"""Sentence segmentation: a text -> the spans of its sentences. Pure.

The boundaries come from Wikimedia's sentencex (rules and abbreviation lists, written in Rust, some 25 MB/s). Added
here: blank lines, table rows, list numbers, and abbreviations in front of a number.
"""

from __future__ import annotations

import re

from models.common.cell_separator import CELL

# sentencex 1.0 panics on white space of more than one byte (U+2028) and refuses lone surrogates, so both become
# blanks in the copy that it reads. One character for one: offsets stay true.
_FOREIGN = re.compile(r"[^\S\n]|[\ud800-\udfff]")

# "2." and "(b)" at the head of a list item belong to the item, "Figure 2." to its caption.
_MARKER = re.compile(
    r"\(?(?:[0-9]{1,3}|[A-Za-z])[.)]"
    r"|(?i:appendix|box|chart|exhibit|fig(?:ure|\.)?|listing|map|plate|scheme|tab(?:le|\.)?)"
    r"\s?[A-Z]?\.?[0-9]+(?:[.-][0-9]+)*[a-z]?\."
)
_ABBREVIATION = re.compile(r"(?<!\w)(?:approx|ca|cf|incl|resp|viz)\.$")
_BEFORE_NUMBER = re.compile(
    r"(?<!\w)(?:Alg|App|Art|Chap|Ch|Def|Eds?|Eqs?|Figs?|Nos?|Par|Prop|Pp?|Refs?|Secs?|Tabs?|Thm|Vols?)\.$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[(\[]?[0-9]")


def sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence, in order, without outer white space. Only white space is in none.

    A sentence may run over a line break, never over a blank line. A line with cells ("a | b | c") is one sentence.
    """
    return [span for start, end in _runs(text) for span in _split(text, start, end)]


def _runs(text: str) -> list[tuple[int, int]]:
    """Paragraphs and single table rows: what no sentence crosses."""
    runs: list[tuple[int, int]] = []
    position = 0
    open_run = False  # whether the next line of prose continues the last run
    for line in text.splitlines(keepends=True):
        end = position + len(line)
        if not line.strip():
            open_run = False
        elif CELL in line:
            runs.append((position, end))
            open_run = False
        elif open_run:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((position, end))
            open_run = True
        position = end
    return runs


def _split(text: str, start: int, end: int) -> list[tuple[int, int]]:
    if CELL in text[start:end]:
        return [_strip(text, start, end)]
    from sentencex import segment

    spans: list[tuple[int, int]] = []
    joined = False  # whether the last span goes on
    for piece in segment("en", _FOREIGN.sub(" ", text[start:end])):
        stop = start + len(piece)
        left, right = _strip(text, start, stop)
        start = stop
        if left == right:
            continue
        if joined or (spans and _goes_on(text, spans[-1], left)):
            left = spans.pop()[0]
            joined = False
        spans.append((left, right))
        joined = _MARKER.fullmatch(text, left, right) is not None
    return spans


def _goes_on(text: str, last: tuple[int, int], following: int) -> bool:
    """Whether the boundary after `last` is only the full stop of an abbreviation."""
    tail = text[max(last[0], last[1] - 10) : last[1]]
    return bool(_ABBREVIATION.search(tail) or (_BEFORE_NUMBER.search(tail) and _NUMBER.match(text, following)))


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    return left, max(left, start + len(piece.rstrip()))
