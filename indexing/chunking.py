"""Document -> Chunks: structure first, exact offsets, never longer than the embedder's window. Pure.

A chunk never crosses a page, the border of a table, or a heading. Headings without text under them form a chunk.
Within these borders blocks are packed up to TARGET tokens. A longer block is split at sentences (code at lines), a
longer sentence at white space. Knows nothing of models: tokens are counted by a function that the caller gives.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from indexing.boxes import boxes_of
from indexing.sentences import sentences
from indexing.types import Block, BlockKind, Box, Chunk, Document, Locator, Modality, Page

TARGET = 200  # tokens of text: with CONTEXT and special tokens they fit the default embedder's window of 256
CONTEXT = 48  # tokens left for the headings that are embedded in front of the text
WHOLE_PAGE: Box = (0.0, 0.0, 1.0, 1.0)

CountTokens = Callable[[Sequence[str]], list[int]]  # texts -> tokens of each, special tokens not counted
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Unit:
    """A span that is packed whole, with the properties that units of one chunk share."""

    start: int
    end: int
    headings: tuple[str, ...]
    page: int  # index into document.pages, -1 for none
    modality: Modality
    kind: BlockKind = BlockKind.PARAGRAPH
    section: int = 0  # number of headings before it: two neighbouring sections may have the same heading
    box: Box | None = None  # of a figure
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
    boxes: tuple[Box, ...] = ()
    if unit.box:
        boxes = (unit.box,)
    elif page and page.words:
        boxes = boxes_of(page.words, unit.start, unit.end)
    if unit.modality is Modality.IMAGE and not boxes and page:
        boxes = (WHOLE_PAGE,)
    number = page.number if page else None
    picture = "" if unit.picture is None else f"{unit.picture} {_digest(document.pictures[unit.picture].thumbnail)}"
    identity = "\0".join((name, str(number), str(unit.start), *unit.headings, text, picture))
    return Chunk(
        id=_digest(identity.encode("utf-8", "surrogatepass")), text=text,
        locator=Locator(name, number, unit.start, unit.end, boxes), headings=unit.headings, modality=unit.modality,
        picture=unit.picture,
    )


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


class _Places:
    """Which page and which picture a block belongs to."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._starts = [page.start for page in document.pages]
        self._pages = {page.number: at for at, page in enumerate(document.pages)}
        pictures = list(enumerate(document.pictures))
        self._figures = {picture.block: at for at, picture in pictures if picture.block >= 0}
        self._page_pictures = {self._pages.get(picture.page, -1): at for at, picture in pictures if picture.block < 0}

    def page(self, block: Block) -> int:
        """Index into document.pages, -1 where it has none."""
        return bisect.bisect_right(self._starts, block.start) - 1

    def label(self, block: Block) -> str:
        at = self.page(block)
        return self._document.pages[at].label if at >= 0 else ""

    def page_picture(self, page: int) -> int | None:
        """Index of the picture of a whole page, for documents that are pictures."""
        return self._page_pictures.get(page) if self._document.modality is Modality.IMAGE else None

    def figure(self, number: int) -> tuple[int, int, Box | None]:
        """(page, picture, box) of block `number`, a FIGURE."""
        at = self._figures[number]
        picture = self._document.pictures[at]
        return self._pages.get(picture.page, -1), at, picture.box


def _units(document: Document) -> Iterator[_Unit]:
    """The blocks with their path of headings. A heading without text under it is a unit of its own."""
    places = _Places(document)
    title = (document.title,) if document.title else ()
    path: list[tuple[int, str]] = []  # (level, text) of the open headings
    bare: tuple[Block, tuple[str, ...]] | None = None  # the last heading, while there is no text under it
    table_header: str | None = None
    section = 0

    def unit(block: Block, headings: tuple[str, ...], modality: Modality) -> _Unit:
        page = places.page(block)
        picture = places.page_picture(page)
        return _Unit(block.start, block.end, headings, page, modality, block.kind, section, picture=picture)

    def headings(block: Block) -> tuple[str, ...]:
        """Title, label of the page, open headings; neighbours of the same text only once."""
        texts = [*title, *filter(None, [places.label(block)]), *(text for _, text in path)]
        return tuple(text for text, before in zip(texts, [None, *texts], strict=False) if text != before)

    for number, block in enumerate(document.blocks):
        text = document.text[block.start : block.end]
        if block.kind is not BlockKind.ROW:
            table_header = None
        if block.kind is BlockKind.HEADING:
            section += 1
            if bare and block.level <= bare[0].level:
                yield unit(*bare, document.modality)
            while path and path[-1][0] >= block.level:
                path.pop()
            bare = (block, headings(block))
            path.append((block.level, " ".join(text.strip("#= \n").split())))
            continue
        bare = None
        if block.kind is BlockKind.HEADER:
            table_header = text
        if block.kind in (BlockKind.HEADER, BlockKind.ROW):
            under = (*headings(block), table_header) if table_header else headings(block)
            yield unit(block, under, Modality.TABLE)
        elif block.kind is BlockKind.FIGURE:
            page, picture, box = places.figure(number)
            yield replace(unit(block, headings(block), Modality.IMAGE), page=page, picture=picture, box=box)
        else:
            yield unit(block, headings(block), document.modality)
    if bare:
        yield unit(*bare, document.modality)
    if document.modality is Modality.IMAGE:
        yield from _blank_pages(document, places, title)


def _blank_pages(document: Document, places: _Places, title: tuple[str, ...]) -> Iterator[_Unit]:
    """A unit without text for each page of a picture that has no block."""
    for at, page in enumerate(document.pages):
        if not any(page.start <= block.start < page.end for block in document.blocks):
            yield _Unit(page.start, page.start, title, at, Modality.IMAGE, picture=places.page_picture(at))


def _pack(text: str, units: list[_Unit], count_tokens: CountTokens, limit: int) -> Iterator[_Unit]:
    """Joins neighbours that share headings, page and modality while they fit the limit; splits longer units."""
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
    """(start, end, tokens) of the pieces of a unit that is too long, each within the limit, in order."""
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
    near = (at for step in range((end - start) // 4) for at in (middle - step, middle + step))
    cut = next((at for at in near if text[at].isspace()), middle)
    left, right = _trim(text, start, cut), _trim(text, cut, end)
    return [piece for s, e in (left, right) if s < e for piece in _halve(text, s, e, count_tokens, limit)]


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
