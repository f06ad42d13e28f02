"""Document -> Chunks: structure first, exact offsets, never longer than the embedder's window. Pure.

A chunk never crosses a page, the border of a table, or a heading (headings that nothing stands under form one). Within these, blocks are packed up to TARGET
tokens; a block that is longer is split at sentences (code at lines), a longer sentence at white space.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from indexing.boxes import boxes_of
from indexing.sentences import sentences
from indexing.types import Block, BlockKind, Box, Chunk, Document, Locator, Modality, Page

TARGET = 200  # tokens of body: leaves room for the headings in a window of 256
CONTEXT = 48  # tokens of headings that go in front of the body when it is embedded

CountTokens = Callable[[Sequence[str]], list[int]]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Unit:
    """A span that is packed whole, with all that two units must share to stand in one chunk."""

    start: int
    end: int
    headings: tuple[str, ...]
    page: int  # index into document.pages, -1 for none
    modality: Modality
    kind: BlockKind = BlockKind.PARAGRAPH
    section: int = 0  # how many headings stand before it: two neighbours may be called the same
    drawn: Box | None = None  # of a figure: where it is
    picture: int | None = None  # index into document.pictures


def chunk(document: Document, name: str, count_tokens: CountTokens, max_tokens: int) -> list[Chunk]:
    """The chunks of a document called `name`, in reading order. A picture without words gives one chunk of no text."""
    limit = min(TARGET, max(1, max_tokens - CONTEXT))
    chunks = []
    for unit in _pack(document.text, list(_units(document)), count_tokens, limit):
        page = document.pages[unit.page] if unit.page >= 0 else None
        chunks.append(_make(document, name, unit, page))
    return chunks


def embedding_text(chunk: Chunk, file_name: str = "") -> str:
    """What is embedded for a chunk: its headings, then its text."""
    return "\n".join(part for part in (chunk.context or file_name, chunk.text) if part)


def _make(document: Document, name: str, unit: _Unit, page: Page | None) -> Chunk:
    text = document.text[unit.start : unit.end]
    boxes = (unit.drawn,) if unit.drawn else boxes_of(page.words, unit.start, unit.end) if page and page.words else ()
    if unit.modality is Modality.IMAGE and not boxes and page:
        boxes = ((0.0, 0.0, 1.0, 1.0),)
    number = page.number if page else None
    seen = "" if unit.picture is None else f"{unit.picture} {hashlib.blake2b(document.pictures[unit.picture].thumbnail, digest_size=12).hexdigest()}"
    identity = "\0".join((name, str(number), str(unit.start), *unit.headings, text, seen))
    return Chunk(
        id=hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest(),
        text=text, locator=Locator(name, number, unit.start, unit.end, boxes), headings=unit.headings, modality=unit.modality,
        picture=unit.picture,
    )


def _units(document: Document) -> Iterator[_Unit]:
    """The blocks with their path of headings. A heading that nothing stands under is a unit of its own."""
    path: list[tuple[int, str]] = []  # (level, text)
    lonely: tuple[Block, tuple[str, ...]] | None = None  # the last heading, while nothing stands under it
    table_header: str | None = None
    section = 0
    starts = [page.start for page in document.pages]
    figures = {picture.block: at for at, picture in enumerate(document.pictures) if picture.block >= 0}
    places = {page.number: at for at, page in enumerate(document.pages)}
    whole = {places.get(picture.page, -1): at for at, picture in enumerate(document.pictures) if picture.block < 0}
    title = (document.title,) if document.title else ()

    def page_of(block: Block) -> int:
        return bisect.bisect_right(starts, block.start) - 1

    def unit(block: Block, headings: tuple[str, ...], modality: Modality) -> _Unit:
        page = page_of(block)
        return _Unit(block.start, block.end, headings, page, modality, block.kind, section, picture=whole.get(page) if document.modality is Modality.IMAGE else None)

    def headings(block: Block) -> tuple[str, ...]:
        """The title, what the page is called, and the path down to the block; a name that is said twice in turn once."""
        at = page_of(block)
        label = (document.pages[at].label,) if at >= 0 and document.pages[at].label else ()
        texts = [*title, *label, *(text for _, text in path)]
        return tuple(text for text, before in zip(texts, [None, *texts], strict=False) if text != before)

    for number, block in enumerate(document.blocks):
        text = document.text[block.start : block.end]
        if block.kind is not BlockKind.ROW:
            table_header = None
        if block.kind is BlockKind.HEADING:
            section += 1
            if lonely and block.level <= lonely[0].level:
                yield unit(*lonely, document.modality)
            while path and path[-1][0] >= block.level:
                path.pop()
            lonely = (block, headings(block))
            path.append((block.level, " ".join(text.strip("#= \n").split())))
            continue
        lonely = None
        if block.kind is BlockKind.HEADER:
            table_header = text
        if block.kind in (BlockKind.HEADER, BlockKind.ROW):
            under = (*headings(block), table_header) if table_header else headings(block)
            yield unit(block, under, Modality.TABLE)
        elif block.kind is BlockKind.FIGURE:
            picture = figures[number]
            page = places.get(document.pictures[picture].page, -1)
            yield replace(unit(block, headings(block), Modality.IMAGE), page=page, picture=picture, drawn=document.pictures[picture].box)
        else:
            yield unit(block, headings(block), document.modality)
    if lonely:
        yield unit(*lonely, document.modality)
    if document.modality is Modality.IMAGE:
        blank = [i for i, page in enumerate(document.pages) if not any(page.start <= b.start < page.end for b in document.blocks)]
        for i in blank:
            yield _Unit(document.pages[i].start, document.pages[i].start, title, i, Modality.IMAGE, picture=whole.get(i))


def _pack(text: str, units: list[_Unit], count_tokens: CountTokens, limit: int) -> Iterator[_Unit]:
    """Neighbours that share headings, page and modality, joined while they fit; what is too long, split."""
    counts = count_tokens([text[unit.start : unit.end] for unit in units]) if units else []
    open_unit: _Unit | None = None
    tokens = 0
    for unit, count in zip(units, counts, strict=True):
        pieces = [(unit.start, unit.end, count)] if count <= limit else _split(text, unit, count_tokens, limit)
        for start, end, size in pieces:
            if open_unit and _joinable(open_unit, unit) and tokens + size <= limit:
                open_unit = replace(unit, start=open_unit.start, end=end)
                tokens += size
            else:
                if open_unit:
                    yield open_unit
                open_unit, tokens = replace(unit, start=start, end=end), size
    if open_unit:
        yield open_unit


def _joinable(left: _Unit, right: _Unit) -> bool:
    if BlockKind.FIGURE in (left.kind, right.kind):
        return False
    if left.kind is BlockKind.HEADING or right.kind is BlockKind.HEADING:
        together = left.kind is right.kind
    else:
        together = left.section == right.section
    return together and (left.page, left.modality, left.headings) == (right.page, right.modality, right.headings)


def _split(text: str, unit: _Unit, count_tokens: CountTokens, limit: int) -> list[tuple[int, int, int]]:
    """(start, end, tokens) of the pieces of a unit, each within the limit, in order."""
    body = text[unit.start : unit.end]
    spans = _lines(body) if unit.kind is BlockKind.CODE else sentences(body)
    pieces = []
    for (start, end), count in zip(spans, count_tokens([body[s:e] for s, e in spans]), strict=True):
        if count <= limit:
            pieces.append((unit.start + start, unit.start + end, count))
        else:
            pieces += _halve(text, unit.start + start, unit.start + end, count_tokens, limit)
    return pieces


def _lines(body: str) -> list[Span]:
    spans, at = [], 0
    for line in body.split("\n"):
        if line.strip():
            spans.append((at, at + len(line)))
        at += len(line) + 1
    return spans


def _halve(text: str, start: int, end: int, count_tokens: CountTokens, limit: int) -> list[tuple[int, int, int]]:
    """Cut a span in two at the white space nearest its middle, or in its middle, until every part fits."""
    count = count_tokens([text[start:end]])[0]
    if count <= limit or end - start <= 1:
        return [(start, end, count)]
    middle = (start + end) // 2
    cut = next((at for step in range((end - start) // 4) for at in (middle - step, middle + step) if text[at].isspace()), middle)
    left, right = _trim(text, start, cut), _trim(text, cut, end)
    return [piece for s, e in (left, right) if s < e for piece in _halve(text, s, e, count_tokens, limit)]


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
