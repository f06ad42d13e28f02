"""From the `[n]` of a generated text to spans of the evidence.

A generated marker is only a claim that source n says so. Each one is bounds-checked, then resolved to the sentences of
that source which hold the words of the claim; where no word is shared there is no support, and no citation. Measured on
words alone: a contradiction in the same words passes, a true paraphrase in other words does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from indexing.index import Index
from indexing.sentences import sentences
from indexing.types import Modality
from rag.types import Citation, Context, Draft, Evidence, Support
from rag.words import stems

WINDOW = 3  # the most sentences that one quote may hold

_N = r"(?:0|[1-9][0-9]{0,3})"
_NUMBERS = re.compile(rf"\[{_N}(?:\s*[-–,;]\s*{_N})*\]")
_ANY = re.compile(r"\[[-+]?[0-9][0-9\s.,;+e–-]*\]")  # also what only looks like a marker: [-1], [1e3], [12345]
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_IDENTIFIER = re.compile(r"(?:(?<!\w)[a-z]|\w*_\w*|\])$")  # a[1], my_list[1], grid[i][1]
_OPERATION = re.compile(r"\s*(?:=(?!=)|[-+*/]=)|\.[a-z_]|\(")  # [1] = 3, [1].name, [1](x)


@dataclass(frozen=True, slots=True)
class Marker:
    """text[start:end] is a marker; `indices` are the evidence that it names, from 0; empty where it is refused."""

    start: int
    end: int
    indices: tuple[int, ...]


def cite(draft: Draft, context: Context, index: Index) -> tuple[Citation, ...]:
    """The supports of a draft as citations: offsets in the document, boxes on its page."""
    return tuple(_citation(support, context, index) for support in draft.supports)


def beyond(evidence: tuple[Evidence, ...], draft: Draft, context: Context) -> tuple[Evidence, ...]:
    """What a draft cites that is not among the evidence: rows of a table that was not retrieved whole."""
    there = {piece.chunk_id for piece in evidence}
    pieces = context.pieces
    cited = (pieces[number] for number in dict.fromkeys(support.index for support in draft.supports))
    return tuple(piece for piece in cited if piece.chunk_id not in there)


def _citation(support: Support, context: Context, index: Index) -> Citation:
    evidence = context.pieces[support.index]
    at = evidence.locator
    start, end = at.char_start + support.start, at.char_start + support.end
    boxes = index.documents.boxes(at.document, at.page, start, end)
    if evidence.modality is Modality.IMAGE:
        picture = index.documents.picture(evidence.chunk_id)
        if not boxes or picture is None or picture.block >= 0:
            boxes = (*at.boxes, *boxes)  # a figure is cited with its words, a picture without words whole
    quote = evidence.text[support.start : support.end]
    claim = (support.claim_start, support.claim_end)
    return Citation(at.document, at.page, quote, start, end, boxes, evidence.chunk_id, *claim, support.ablation)


def markers(text: str, count: int) -> tuple[Marker, ...]:
    """The markers of a text, checked against `count` pieces of evidence.

    `[1]`, `[1][3]`, `[1, 3]` and `[1-3]` name evidence. A number or a range that reaches out of 1..count names nothing
    (its neighbours in the same brackets do). An index in code (`a[1]`, or anything between back quotes) is no marker.
    """
    code = [match.span() for match in _CODE.finditer(text)]
    found = []
    for match in _ANY.finditer(text):
        start, end = match.span()
        if any(left <= start < right for left, right in code) or _is_subscript(text, start, end, found):
            continue
        indices = tuple(dict.fromkeys(_indices(match[0], count))) if _NUMBERS.fullmatch(match[0]) else ()
        found.append(Marker(start, end, indices))
    return tuple(found)


def without_markers(text: str) -> str:
    """The text as a reader says it: markers and the blanks before them are gone."""
    parts, position = [], 0
    for marker in markers(text, 0):
        parts.append(text[position : marker.start].rstrip(" "))
        position = marker.end
    return "".join([*parts, text[position:]]).strip()


def resolve(text: str, context: Context, question: str = "") -> tuple[Support, ...]:
    """The supports of a generated text, in the order of its markers; the same input gives the same output.

    The claim of a marker is its sentence. Where a sentence has several, each closes its own part: from the marker
    before to itself. Where there is not one content word ("Yes [1].") those of the question stand in for the claim.
    """
    found = markers(text, len(context.evidence))
    plain = _blank(text, found)
    asked = stems(question)
    split: dict[int, list[tuple[int, int]]] = {}
    supports = []
    for start, end, group in _claims(text, plain, found):
        claim = stems(plain[start:end]) or asked
        for index in dict.fromkeys(index for marker in group for index in marker.indices):
            evidence = context.evidence[index].text
            if index not in split:
                split[index] = sentences(evidence)
            quote = _best(claim, evidence, split[index])
            if quote is None and index in context.pictures:
                quote = (0, len(evidence))  # the generator saw pixels; the words beside them need not say it
            if quote is not None:
                supports.append(Support(index, *quote, start, end))
    return tuple(dict.fromkeys(supports))


def grounded_share(text: str, context: Context, supports: Iterable[Support], question: str = "") -> float:
    """Which share of the answer's distinct content words stands in the cited quotes: 0..1, 0 without supports.

    An answer without content words ("Yes [1].") is measured by those of the question.
    """
    quoted: set[str] = set()
    for support in supports:
        quoted |= stems(context.evidence[support.index].text[support.start : support.end])
    said = stems(without_markers(text)) or stems(question)
    return len(said & quoted) / len(said) if said else 0.0


def _indices(marker: str, count: int) -> Iterator[int]:
    for part in re.split(r"[,;]", marker[1:-1]):
        bounds = [int(number) for number in re.split(r"[-–]", part)]
        if len(bounds) <= 2 and 1 <= bounds[0] <= bounds[-1] <= count:
            yield from range(bounds[0] - 1, bounds[-1])


def _is_subscript(text: str, start: int, end: int, before: list[Marker]) -> bool:
    """Whether [1] directly after a word is an index. "Paris[1]" is a citation: many models leave out the blank."""
    if start == 0 or text[start - 1].isspace() or (before and before[-1].end == start):
        return False
    if _IDENTIFIER.search(text, max(0, start - 60), start):
        return True
    return text[start - 1].isalnum() and _OPERATION.match(text, end) is not None


def _blank(text: str, found: Iterable[Marker]) -> str:
    parts, position = [], 0
    for marker in found:
        parts += [text[position : marker.start], " " * (marker.end - marker.start)]
        position = marker.end
    return "".join([*parts, text[position:]])


def _groups(text: str, found: Iterable[Marker]) -> list[list[Marker]]:
    """Markers with at most blanks and commas between them close the same claim."""
    groups: list[list[Marker]] = []
    for marker in found:
        if groups and not text[groups[-1][-1].end : marker.start].strip(" ,;"):
            groups[-1].append(marker)
        else:
            groups.append([marker])
    return groups


def _claims(text: str, plain: str, found: Iterable[Marker]) -> list[tuple[int, int, list[Marker]]]:
    """(start, end, markers) of each claim in `text`; `plain` is the text with its markers blanked."""
    spans = sentences(plain)
    groups = _groups(text, found)
    owners = [_sentence(plain, spans, group[0].start) for group in groups]
    claims = []
    closed = 0  # where the claim before ended
    for group, owner in zip(groups, owners, strict=True):
        if owner is None:
            continue
        start, end = owner
        if owners.count(owner) > 1 or not stems(plain[group[-1].end : end]):
            part = max(start, closed), min(end, group[0].start)
            if stems(plain[part[0] : part[1]]):
                start, end = part
        closed = group[-1].end
        claim = plain[start:end]
        claims.append((start + len(claim) - len(claim.lstrip(" ,;")), start + len(claim.rstrip()), group))
    return claims


def _sentence(plain: str, spans: list[tuple[int, int]], at: int) -> tuple[int, int] | None:
    """The sentence around a marker, else the one that it follows on its line, else the next, else the last."""
    before = [span for span in spans if span[0] < at]
    after = [span for span in spans if span[0] >= at]
    if before and (at < before[-1][1] or "\n" not in plain[before[-1][1] : at] or not after):
        return before[-1]
    return after[0] if after else None


def _best(claim: frozenset[str], text: str, spans: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The run of at most WINDOW sentences with the most words of the claim, None where there is not one.

    Each sentence after the first must bring two words, or a quote would grow for the sake of one common word. Ties go
    to the shorter run, then to the earlier.
    """
    held = [claim & stems(text[start:end]) for start, end in spans]
    best, quote = 0, None
    for length in range(1, WINDOW + 1):
        for first in range(len(spans) - length + 1):
            gain = len(frozenset().union(*held[first : first + length])) - (length - 1)
            if gain > best:
                best, quote = gain, (spans[first][0], spans[first + length - 1][1])
    return quote
