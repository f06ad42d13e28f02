"""The evidence of an answer in, the HTML of the panel beside it out: sources with their pages, and other passages.

Whatever comes from a document is escaped. Pages and pictures are read from the index that the answer came from.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import PurePath

from indexing.index import Index
from indexing.types import Modality
from rag.conversation import Reply, Similar
from rag.types import Evidence
from ui.answer_view import Source, header_of, sources
from ui.markup import passage, shorten
from ui.page_pictures import PagePicture, page_picture, picture_html

CLOSEST, CLOSEST_ROWS = 3, 5  # passages shown beside an abstention, and rows of one that is a table
ALIKE = 5  # passages shown beside a dropped picture
CLOSEST_TEXT, REST_TEXT = 320, 140  # characters shown of a passage, beside an abstention and in the list of the rest
SLIDES = (".pptx", ".pptm", ".ppsx")
CHANNEL_NAMES = {"dense": "meaning", "bm25": "words", "image": "picture", "rerank": "reader"}


def evidence_html(reply: Reply, turn: int) -> str:
    """The numbered sources of an answer, or the closest passages beside an abstention, and the rest of the evidence."""
    answer, index = reply.answer, reply.index
    cited = sources(answer)
    if answer.abstained:
        shown, rest = answer.evidence[:CLOSEST], answer.evidence[CLOSEST:]
        cards = "".join(_closest(index, piece, reply.dropped) for piece in shown)
        head = _head("Closest passages", "No answer in them is sure enough." if shown else "Nothing was found.")
    else:
        names = {source.evidence.chunk_id for source in cited}
        rest = tuple(piece for piece in answer.evidence if piece.chunk_id not in names)
        cards = "".join(_card(index, source, turn, reply.dropped) for source in cited)
        origin = ", from the dropped files" if reply.dropped else ""
        remark = f"confidence {answer.confidence:.2f}{origin}" if cited else "This answer needs none."
        head = _head("Sources", remark)
    return f'<section class="evidence" id="t{turn}">{head}{cards}{_rest(index, rest)}</section>'


def similar_html(similar: Similar, turn: int) -> str:
    """The passages most like a dropped picture."""
    shown, rest = similar.evidence[:ALIKE], similar.evidence[ALIKE:]
    cards = "".join(_closest(similar.index, piece, False) for piece in shown)
    remark = "By its looks, and by the words on it." if shown else "The library holds nothing like it."
    head = _head("Like the picture", remark)
    return f'<section class="evidence" id="t{turn}">{head}{cards}{_rest(similar.index, rest)}</section>'


def _head(title: str, remark: str) -> str:
    return f"<header><h2>{title}</h2><p>{remark}</p></header>"


def _card(index: Index, source: Source, turn: int, dropped: bool) -> str:
    piece = source.evidence
    picture = page_picture(index, piece)
    name, _ = place(index, piece)
    if isinstance(picture, PagePicture):
        page = picture_html(picture, source.boxes, name)
    else:
        page = f'<p class="note">{escape(picture)}</p>' if picture else ""
    text = passage(piece.text, source.spans, header_of(piece)) if piece.text.strip() else ""
    body = page + text if piece.modality is Modality.IMAGE else text + page
    title = _title(index, piece, dropped, f'<b class="number">{source.number}</b>')
    return f'<article class="source" id="t{turn}s{source.number}">{title}{body}{_ranks(piece)}</article>'


def _closest(index: Index, piece: Evidence, dropped: bool) -> str:
    if header := header_of(piece):
        text = passage("".join(piece.text.splitlines(keepends=True)[:CLOSEST_ROWS]), header=header)
    else:
        text = f'<div class="passage"><p>{escape(shorten(piece.text, CLOSEST_TEXT))}</p></div>'
    head = _title(index, piece, dropped) + _thumbnail(index, piece)
    return f'<article class="source closest">{head}{text if piece.text.strip() else ""}{_ranks(piece)}</article>'


def _thumbnail(index: Index, piece: Evidence) -> str:
    """The thumbnail of an image chunk, else ""."""
    picture = index.documents.picture(piece.chunk_id) if piece.modality is Modality.IMAGE else None
    if picture is None:
        return ""
    data = base64.b64encode(picture.thumbnail).decode()
    return f'<img class="thumbnail" src="data:image/webp;base64,{data}" alt="">'


def _rest(index: Index, pieces: Sequence[Evidence]) -> str:
    if not pieces:
        return ""
    rows = []
    for piece in pieces:
        name, where = place(index, piece)
        text = escape(shorten(piece.text, REST_TEXT))
        rows.append(f"<li>{_thumbnail(index, piece)}<b>{escape(name)}</b> {escape(where)}<br>{text}</li>")
    count = f"{len(rows)} more passage{'s were' if len(rows) > 1 else ' was'} read"
    return f'<details class="rest"><summary>{count}</summary><ul>{"".join(rows)}</ul></details>'


def _title(index: Index, piece: Evidence, dropped: bool, number: str = "") -> str:
    name, where = place(index, piece)
    folder = "" if dropped else piece.document.removesuffix(name).rstrip("/\\")
    headings = list(dict.fromkeys(piece.headings[:-1] if header_of(piece) else piece.headings))
    path = " › ".join([*([folder] if folder else []), *(heading for heading in headings if heading != where)])
    place_html = f'<span class="where">{escape(where)}</span>' if where else ""
    path_html = f'<p class="path">{escape(path)}</p>' if path else ""
    return f'<h3>{number}<span class="name">{escape(name)}</span>{place_html}</h3>{path_html}'


def place(index: Index, item: Evidence) -> tuple[str, str]:
    """(file name, place in it): a sheet by its name, a slide or page by its number; "" for an image of one page."""
    path = index.documents.source(item.document)
    file = path.name if path else PurePath(item.document).name
    name = file + item.document.rpartition(file)[2]  # the document of a record is called file#id
    if item.page is None or (item.modality is Modality.IMAGE and item.page == 1):
        return name, ""
    found = index.documents.page(item.document, item.page)
    if found and found[0].label:
        return name, found[0].label
    return name, f"{'slide' if file.lower().endswith(SLIDES) else 'page'} {item.page}"


def _ranks(piece: Evidence) -> str:
    ranks = [f"{CHANNEL_NAMES.get(name, name)} {found.rank}" for name, found in piece.channels.items()]
    return f'<p class="ranks">rank: {escape(", ".join(ranks))}</p>' if ranks else ""
