"""Answers and their evidence as HTML. Whatever comes from a document, a question or a model is escaped."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePath

from indexing.index import Index
from indexing.types import Box, Modality
from rag.citations import markers
from rag.conversation import Reply, Similar, Turn
from rag.types import Answer, Citation, Evidence
from ui.library_view import progress_html, summary_html
from ui.markup import SEPARATOR, Span, is_wrapped, passage, shorten
from ui.page_pictures import PagePicture, page_picture, picture_html

LONGEST_SHOWN = 1500  # characters of a question in its bubble
CLOSEST, ALIKE, CLOSEST_ROWS = 3, 5, 5  # passages shown beside an abstention, beside a dropped picture, and how many rows of a table
_BOLD = re.compile(r"\*\*(\S(?:[^*\n]*\S)?)\*\*")
CHANNEL_NAMES = {"dense": "meaning", "bm25": "words", "image": "picture"}


@dataclass(frozen=True, slots=True)
class Source:
    """A cited chunk. `spans` are its quotes, counted in `evidence.text`; `boxes` mark them on the page."""

    number: int  # from 1, in the order of the answer
    evidence: Evidence
    spans: tuple[Span, ...]
    boxes: tuple[Box, ...]


def sources(answer: Answer) -> tuple[Source, ...]:
    """The sources of an answer: its citations, those of one chunk together."""
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


# the answer


@dataclass(frozen=True, slots=True)
class _Claim:
    """text[start:end] of an answer and the sources that it names."""

    start: int
    end: int
    numbers: tuple[int, ...]
    header: str = ""  # it is rows of the table of its source
    wrapped: bool = False  # its line ends are those of a page
    short: bool = False  # it is a part of another claim's quote, said again: the answer itself


def answer_html(answer: Answer, turn: int) -> str:
    """The text of an answer with the numbers of its sources after each claim; they lead to `#t{turn}s{number}`."""
    parts, at = [], 0
    for claim in _claims(answer):
        if claim.header:
            # a quoted row brings its header along as a line of text; here it is the head of the table
            parts.append(_plain(answer, at, claim.start).removesuffix("\n").removesuffix(escape(claim.header)).removesuffix("\n"))
            parts.append(passage(answer.text[claim.start : claim.end], header=claim.header))
        else:
            parts.append(_plain(answer, at, claim.start))
            text = _plain(answer, max(at, claim.start), claim.end)
            text = text.replace("\n", " ") if claim.wrapped else text
            parts.append(f'<b class="short">{text}</b>' if claim.short else text)
        parts += [f'<a class="cite" href="#t{turn}s{number}">{number}</a>' for number in claim.numbers if not claim.short]
        at = claim.end
    parts.append(_plain(answer, at, len(answer.text)))
    return "".join(parts).replace("\n", "<br>")


def _claims(answer: Answer) -> Iterator[_Claim]:
    """The claims in their order. Rows of one table that follow each other are one claim."""
    cited = sources(answer)
    found: dict[Span, list[Source]] = {}
    for citation in answer.citations:
        source = next(source for source in cited if source.evidence.chunk_id == citation.chunk_id)
        named = found.setdefault((citation.claim_start, citation.claim_end), [])
        if source not in named:
            named.append(source)
    last: _Claim | None = None
    for (start, end), named in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
        header = _table_of(answer.text[start:end], named[0].evidence)
        wrapped = is_wrapped(named[0].evidence.text) and answer.text[start:end] in named[0].evidence.text
        claim = _Claim(start, end, tuple(source.number for source in named), header, wrapped, _is_short(answer, start, end))
        if last and header and last.header == header and last.numbers == claim.numbers and answer.text[last.end : start] == "\n":
            last = _Claim(last.start, end, claim.numbers, header)
            continue
        if last:
            yield last
        last = claim
    if last:
        yield last


def _is_short(answer: Answer, start: int, end: int) -> bool:
    """Whether text[start:end] is, word for word, a part of what another claim quotes, or stands behind the label that one quotes."""
    mine = [c for c in answer.citations if (c.claim_start, c.claim_end) == (start, end)]
    others = [c for c in answer.citations if (c.claim_start, c.claim_end) != (start, end)]
    looked_up = end == len(answer.text) and bool(answer.trace.get("generation", {}).get("looked_up"))
    return all(
        answer.text[start:end] == c.quote
        and any(o.chunk_id == c.chunk_id and ((o.char_start <= c.char_start and c.char_end <= o.char_end and len(c.quote) < len(o.quote)) or looked_up) for o in others)
        for c in mine
    )


def _table_of(claim: str, evidence: Evidence) -> str:
    """The header above a claim that is rows of a table, word for word; else ""."""
    header = header_of(evidence)
    return header if header and SEPARATOR in claim and claim in evidence.text else ""


def _plain(answer: Answer, start: int, end: int) -> str:
    """Escaped text without the generator's own markers. What is quoted word for word keeps all that it holds."""
    verbatim = [(c.claim_start, c.claim_end) for c in answer.citations if answer.text[c.claim_start : c.claim_end] == c.quote]
    parts, at = [], start
    for marker in markers(answer.text, 0):
        if start <= marker.start < end and not any(left <= marker.start < right for left, right in verbatim):
            parts.append(answer.text[at : marker.start].rstrip(" "))
            at = min(marker.end, end)
    html = escape("".join([*parts, answer.text[at:end]]))
    quoted = any(left < end and start < right for left, right in verbatim)
    return html if quoted else _BOLD.sub(r"<b>\1</b>", html)  # the one mark that language models will not leave out


# the evidence


def evidence_html(reply: Reply, turn: int) -> str:
    """Everything that the answer stands on: numbered sources, or the closest passages beside an abstention."""
    answer, reader = reply.answer, reply.index
    cited = sources(answer)
    if answer.abstained:
        shown, rest = answer.evidence[:CLOSEST], answer.evidence[CLOSEST:]
        cards = "".join(_closest(reader, piece, reply.dropped) for piece in shown)
        head = _head("Closest passages", "None of them supports an answer." if shown else "Nothing was found.")
    else:
        names = {source.evidence.chunk_id for source in cited}
        rest = tuple(piece for piece in answer.evidence if piece.chunk_id not in names)
        cards = "".join(_card(reader, source, turn, reply.dropped) for source in cited)
        head = _head("Sources", f"confidence {answer.confidence:.2f}" + (", from the dropped files" if reply.dropped else ""))
    return f'<section class="evidence" id="t{turn}">{head}{cards}{_rest(reader, rest)}</section>'


def similar_html(similar: Similar, turn: int) -> str:
    """What is like a dropped picture."""
    shown, rest = similar.evidence[:ALIKE], similar.evidence[ALIKE:]
    cards = "".join(_closest(similar.index, piece, False) for piece in shown)
    head = _head("Like the picture", "By its looks, and by the words on it." if shown else "The library holds nothing like it.")
    return f'<section class="evidence" id="t{turn}">{head}{cards}{_rest(similar.index, rest)}</section>'


def _head(title: str, remark: str) -> str:
    return f"<header><h2>{title}</h2><p>{remark}</p></header>"


def _card(reader: Index, source: Source, turn: int, dropped: bool) -> str:
    piece = source.evidence
    picture = page_picture(reader, piece)
    name, _ = place(reader, piece)
    if isinstance(picture, PagePicture):
        page = picture_html(picture, source.boxes, name)
    else:
        page = f'<p class="note">{escape(picture)}</p>' if picture else ""
    text = passage(piece.text, source.spans, header_of(piece)) if piece.text.strip() else ""
    seen = page + text if piece.modality is Modality.IMAGE else text + page
    title = _title(reader, piece, dropped, f'<b class="number">{source.number}</b>')
    return f'<article class="source" id="t{turn}s{source.number}">{title}{seen}{_ranks(piece)}</article>'


def _closest(reader: Index, piece: Evidence, dropped: bool) -> str:
    if header := header_of(piece):
        text = passage("".join(piece.text.splitlines(keepends=True)[:CLOSEST_ROWS]), header=header)
    else:
        text = f'<div class="passage"><p>{escape(shorten(piece.text, 320))}</p></div>'
    return f'<article class="source closest">{_title(reader, piece, dropped)}{_thumbnail(reader, piece)}{text if piece.text.strip() else ""}{_ranks(piece)}</article>'


def _thumbnail(reader: Index, piece: Evidence) -> str:
    """The picture that a passage belongs to, small."""
    picture = reader.documents.picture(piece.chunk_id) if piece.modality is Modality.IMAGE else None
    if picture is None:
        return ""
    return f'<img class="thumbnail" src="data:image/webp;base64,{base64.b64encode(picture.thumbnail).decode()}" alt="">'


def _rest(reader: Index, pieces: Sequence[Evidence]) -> str:
    if not pieces:
        return ""
    rows = []
    for piece in pieces:
        name, where = place(reader, piece)
        rows.append(f"<li>{_thumbnail(reader, piece)}<b>{escape(name)}</b> {escape(where)}<br>{escape(shorten(piece.text, 140))}</li>")
    count = f"{len(rows)} more passage{'s were' if len(rows) > 1 else ' was'} read"
    return f'<details class="rest"><summary>{count}</summary><ul>{"".join(rows)}</ul></details>'


def _title(reader: Index, piece: Evidence, dropped: bool, number: str = "") -> str:
    name, where = place(reader, piece)
    folder = "" if dropped else piece.document.removesuffix(name).rstrip("/\\")
    headings = list(dict.fromkeys(piece.headings[:-1] if header_of(piece) else piece.headings))
    path = " › ".join([*([folder] if folder else []), *(heading for heading in headings if heading != where)])
    return (
        f'<h3>{number}<span class="name">{escape(name)}</span>' + (f'<span class="where">{escape(where)}</span>' if where else "") + "</h3>"
        + (f'<p class="path">{escape(path)}</p>' if path else "")
    )


def place(reader: Index, item: Evidence) -> tuple[str, str]:
    """(file name, place in it) as people say it: a sheet by its name, a slide, a page. A picture of one page has none."""
    path = reader.documents.source(item.document)
    file = path.name if path else PurePath(item.document).name
    name = file + item.document.rpartition(file)[2]  # a record of a file is named file#id
    if item.page is None or (item.modality is Modality.IMAGE and item.page == 1):
        return name, ""
    found = reader.documents.page(item.document, item.page)
    if found and found[0].label:
        return name, found[0].label
    return name, f"{'slide' if file.lower().endswith(('.pptx', '.pptm', '.ppsx')) else 'page'} {item.page}"


def _ranks(piece: Evidence) -> str:
    ranks = [f"{CHANNEL_NAMES.get(name, name)} {found.rank}" for name, found in piece.channels.items()]
    return f'<p class="ranks">rank: {escape(", ".join(ranks))}</p>' if ranks else ""


# the conversation


def question_html(turn: Turn) -> str:
    """What was asked, and the names of the files that were dropped with it."""
    text = turn.question
    if len(text) > LONGEST_SHOWN:
        text = f"{text[:LONGEST_SHOWN]}… ({len(text) - LONGEST_SHOWN:,} more characters)"
    files = "".join(f"<li>{escape(name)}</li>" for name in turn.files)
    return _block("asked", escape(text) + (f"<ul>{files}</ul>" if files else ""))


def turn_html(turn: Turn, number: int) -> str:
    """What came of a turn so far: of its files, then of its question."""
    parts = []
    if turn.summary:
        parts.append(summary_html(turn.summary))
    elif turn.progress and not turn.problem:
        parts.append(progress_html(turn.progress))
    if turn.problem:
        parts.append(f'<p class="problem">{escape(turn.problem)}</p>')
    elif turn.reply:
        parts.append(_told(turn.reply, number))
    elif turn.similar:
        parts.append('<p class="facts">What the library has of its kind is listed under “Like the picture”.</p>')
    elif turn.text:
        parts.append(f'<div class="answer">{escape(turn.text)}</div>')
    elif turn.question and not (turn.files and not turn.summary):
        parts.append('<p class="waiting">Searching</p>')
    return _block("told", "".join(parts))


def _told(reply: Reply, number: int) -> str:
    answer = reply.answer
    if answer.abstained:
        hint = "The closest passages are listed; none of them says it." if answer.evidence else "Nothing was found."
        return f'<div class="abstained"><b>{escape(answer.text)}</b><br>{hint}</div>'
    count = len(sources(answer))
    facts = [f"{count} source{'s' if count > 1 else ''}", f"confidence {answer.confidence:.2f}", f"{reply.seconds:.1f} s"]
    origin = ["from the files dropped here"] if reply.dropped else []
    return f'<div class="answer">{answer_html(answer, number)}</div><p class="facts">{" · ".join([*origin, *facts])}</p>'


def _block(kind: str, inner: str) -> str:
    """One HTML block on one line: Markdown is not looked for inside, so that a text cannot bring pictures or links."""
    return f'<div class="{kind}">{inner}</div>'.replace("\n", "<br>")
