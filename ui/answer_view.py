"""An answer in, HTML out: its text with the numbers of its sources after each claim.

Whatever comes from a document, a question or a model is escaped. Reads no index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from indexing.types import Box, Modality
from rag.citations import markers
from rag.types import Answer, Citation, Evidence
from ui.markup import SEPARATOR, Span, is_wrapped, passage

_BOLD = re.compile(r"\*\*(\S(?:[^*\n]*\S)?)\*\*")  # the one Markdown that language models use though told not to


@dataclass(frozen=True, slots=True)
class Source:
    """A cited chunk. `spans` are its quotes, counted in `evidence.text`; `boxes` mark them on the page."""

    number: int  # from 1, in the order of the answer
    evidence: Evidence
    spans: tuple[Span, ...]
    boxes: tuple[Box, ...]


def sources(answer: Answer) -> tuple[Source, ...]:
    """The sources of an answer: its citations, grouped by chunk."""
    evidence = {piece.chunk_id: piece for piece in answer.evidence}
    grouped: dict[str, list[Citation]] = {}
    for citation in answer.citations:
        grouped.setdefault(citation.chunk_id, []).append(citation)
    found = []
    for number, (chunk_id, citations) in enumerate(grouped.items(), 1):
        piece = evidence[chunk_id]
        begin = piece.locator.char_start
        spans = tuple((citation.char_start - begin, citation.char_end - begin) for citation in citations)
        boxes = dict.fromkeys(box for citation in citations for box in citation.boxes)
        found.append(Source(number, piece, spans, tuple(boxes)))
    return tuple(found)


def header_of(evidence: Evidence) -> str:
    """The header row above a chunk of table rows, else ""."""
    last = evidence.headings[-1] if evidence.headings and evidence.modality is Modality.TABLE else ""
    return last if SEPARATOR in last else ""


@dataclass(frozen=True, slots=True)
class _Claim:
    """text[start:end] of an answer and the numbers of its sources."""

    start: int
    end: int
    numbers: tuple[int, ...]
    header: str = ""  # of the table, if the claim is rows of one
    wrapped: bool = False  # its line ends are those of a page
    short: bool = False  # the short answer: a part of another claim's quote, repeated


def answer_html(answer: Answer, turn: int) -> str:
    """The text of an answer; the numbers of its sources link to `#t{turn}s{number}`."""
    parts, at = [], 0
    for claim in _claims(answer):
        before = _plain(answer, at, claim.start)
        if claim.header:
            # a quoted row brings its header along as a line of text, which becomes the head of the table
            parts.append(before.removesuffix("\n").removesuffix(escape(claim.header)).removesuffix("\n"))
            parts.append(passage(answer.text[claim.start : claim.end], header=claim.header))
        else:
            text = _plain(answer, max(at, claim.start), claim.end)
            text = text.replace("\n", " ") if claim.wrapped else text
            parts += [before, f'<b class="short">{text}</b>' if claim.short else text]
        parts += [_link(turn, number) for number in claim.numbers if not claim.short]
        at = claim.end
    parts.append(_plain(answer, at, len(answer.text)))
    return "".join(parts).replace("\n", "<br>")


def _link(turn: int, number: int) -> str:
    return f'<a class="cite" href="#t{turn}s{number}">{number}</a>'


def _claims(answer: Answer) -> Iterator[_Claim]:
    """The claims in their order. Consecutive rows of one table are one claim."""
    last: _Claim | None = None
    for (start, end), cited in sorted(_cited_spans(answer).items(), key=lambda item: (item[0][1], item[0][0])):
        claim = _claim(answer, start, end, cited)
        if last and _continues(answer, last, claim):
            last = replace(last, end=end, wrapped=False, short=False)
            continue
        if last:
            yield last
        last = claim
    if last:
        yield last


def _cited_spans(answer: Answer) -> dict[Span, list[Source]]:
    """Span of the answer's text -> the sources that it cites, each once."""
    by_chunk = {source.evidence.chunk_id: source for source in sources(answer)}
    found: dict[Span, list[Source]] = {}
    for citation in answer.citations:
        source = by_chunk[citation.chunk_id]
        cited = found.setdefault((citation.claim_start, citation.claim_end), [])
        if source not in cited:
            cited.append(source)
    return found


def _claim(answer: Answer, start: int, end: int, cited: Sequence[Source]) -> _Claim:
    text, evidence = answer.text[start:end], cited[0].evidence
    wrapped = is_wrapped(evidence.text) and text in evidence.text
    numbers = tuple(source.number for source in cited)
    return _Claim(start, end, numbers, _table_of(text, evidence), wrapped, _is_short(answer, start, end))


def _continues(answer: Answer, last: _Claim, claim: _Claim) -> bool:
    """Whether a claim is the next row of the table that the last claim quotes."""
    same_table = bool(claim.header) and (last.header, last.numbers) == (claim.header, claim.numbers)
    return same_table and answer.text[last.end : claim.start] == "\n"


def _is_short(answer: Answer, start: int, end: int) -> bool:
    """Whether text[start:end] is the short answer: it repeats a part of what another claim quotes from the chunk.

    The result of a lookup is one too: it ends the answer, beside the label or row that another claim quotes.
    """
    mine = [c for c in answer.citations if (c.claim_start, c.claim_end) == (start, end)]
    others = [c for c in answer.citations if (c.claim_start, c.claim_end) != (start, end)]
    made = answer.trace.get("generation", {})
    looked_up = end == len(answer.text) and bool(made.get("looked_up")) and "written" not in made

    def repeats(citation: Citation) -> bool:
        same_chunk = [other for other in others if other.chunk_id == citation.chunk_id]
        return any(looked_up or _is_part(citation, other) for other in same_chunk)

    return all(answer.text[start:end] == citation.quote and repeats(citation) for citation in mine)


def _is_part(citation: Citation, other: Citation) -> bool:
    """Whether a quote is a part, and not the whole, of another quote of its chunk."""
    inside = other.char_start <= citation.char_start and citation.char_end <= other.char_end
    return inside and len(citation.quote) < len(other.quote)


def _table_of(claim: str, evidence: Evidence) -> str:
    """The header above a claim that is rows of a table, word for word; else ""."""
    header = header_of(evidence)
    return header if header and SEPARATOR in claim and claim in evidence.text else ""


def _plain(answer: Answer, start: int, end: int) -> str:
    """Escaped text without the generator's own citation markers. A verbatim quote keeps all its characters."""
    claims = ((c, c.claim_start, c.claim_end) for c in answer.citations)
    verbatim = [(left, right) for c, left, right in claims if answer.text[left:right] == c.quote]
    parts, at = [], start
    for marker in markers(answer.text, 0):
        if start <= marker.start < end and not any(left <= marker.start < right for left, right in verbatim):
            parts.append(answer.text[at : marker.start].rstrip(" "))
            at = min(marker.end, end)
    html = escape("".join([*parts, answer.text[at:end]]))
    quoted = any(left < end and start < right for left, right in verbatim)
    return html if quoted else _BOLD.sub(r"<b>\1</b>", html)
