"""Markdown: Document.text is the decoded file; blocks come from markdown-it's line maps (CommonMark and tables)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.decode import read_text
from indexing.loaders.images.inner_pictures import InnerPictures, Resolve, beside
from indexing.loaders.loader import Alive
from indexing.loaders.text import spans
from indexing.types import Block, BlockKind, Document, Picture

if TYPE_CHECKING:
    from markdown_it.token import Token

STRUCTURED = 20 << 20  # characters; a longer text is taken as prose: the parser needs 100 times its size of memory
FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
COMMENT = re.compile(r"\A<!--.*?-->\s*\Z", re.DOTALL)


def load(path: Path, alive: Alive) -> Iterator[Document]:
    """Document.text is the decoded file; blocks are spans over it."""
    text = read_text(path)
    if len(text) > STRUCTURED:
        blocks, pictures = spans.prose(text), ()
    else:
        blocks, pictures = _illustrated(text, beside(path), InnerPictures(alive))
    yield Document(text=text, blocks=blocks, title=title_of(text, blocks), format="markdown", pictures=pictures)


def title_of(text: str, blocks: tuple[Block, ...]) -> str:
    """The first heading."""
    return next((" ".join(text[b.start : b.end].split()) for b in blocks if b.kind is BlockKind.HEADING), "")


def blocks_of(text: str) -> tuple[Block, ...]:
    """Spans of headings (without their marks), paragraphs, list items, code and table lines, in order."""
    return tuple(block for block, _ in _parsed(text))


def _illustrated(text: str, resolve: Resolve, inner: InnerPictures) -> tuple[tuple[Block, ...], tuple[Picture, ...]]:
    """The blocks, and the pictures among them.

    A picture that is a paragraph by itself is a figure with its alternative text. Others follow their paragraph.
    """
    blocks: list[Block] = []
    pictures: list[Picture] = []
    for block, inline in _parsed(text):
        tokens = [token for token in inline if token.type == "image"]
        opened = [(token, inner.picture(resolve(str(token.attrGet("src") or "")))) for token in tokens]
        found = [(token, picture) for token, picture in opened if picture is not None]
        alone = len(inline) == 1
        if not (found and alone):
            blocks.append(block)
        for token, picture in found:
            at = text.find(token.content, block.start, block.end) if alone and token.content.strip() else -1
            span = (at, at + len(token.content)) if at >= 0 else (block.end, block.end)
            pictures.append(replace(picture, block=len(blocks)))
            blocks.append(Block(BlockKind.FIGURE, *span))
    return tuple(blocks), tuple(pictures)


def _parsed(text: str) -> Iterator[tuple[Block, list[Token]]]:
    """The blocks that are not empty, each with the inline tokens of a paragraph, [] for other blocks."""
    from markdown_it import MarkdownIt

    front = FRONT_MATTER.match(text)
    skipped = front.end() if front else 0
    tokens = MarkdownIt("commonmark").enable("table").parse(text[skipped:])
    lengths = (len(line) + 1 for line in text[skipped:].split("\n"))  # markdown-it too ends lines at "\n" only
    offsets = [min(at, len(text)) for at in accumulate(lengths, initial=skipped)]  # [i]: where line i begins
    for block, inline in _blocks(text, tokens, offsets):
        if block.start < block.end:
            yield block, inline


def _blocks(text: str, tokens: list[Token], offsets: list[int]) -> Iterator[tuple[Block, list[Token]]]:
    in_table, in_head = False, False
    for index, token in enumerate(tokens):
        if token.type in ("table_open", "table_close"):
            in_table = token.type == "table_open"
        elif token.type in ("thead_open", "thead_close"):
            in_head = token.type == "thead_open"
        elif token.type == "tr_open":
            first = token.map[0]
            span = spans.trim(text, offsets[first], offsets[first + 1])
            yield Block(BlockKind.HEADER if in_head else BlockKind.ROW, *span), []
        elif token.type == "inline" and not in_table:
            first, last = token.map
            opener = tokens[index - 1]
            if opener.type == "heading_open":
                at = text.find(token.content, offsets[first], offsets[last])
                whole = spans.trim(text, offsets[first], offsets[last])  # for an underlined heading of several lines
                span = (at, at + len(token.content)) if at >= 0 else whole
                yield Block(BlockKind.HEADING, *span, int(opener.tag[1])), []
            else:
                yield Block(BlockKind.PARAGRAPH, *spans.trim(text, offsets[first], offsets[last])), token.children or []
        elif token.type == "fence":
            first = token.map[0] + 1
            last = min(first + token.content.count("\n"), token.map[1])
            yield Block(BlockKind.CODE, *_code(text, offsets[first], offsets[last])), []
        elif token.type == "code_block":
            yield Block(BlockKind.CODE, *_code(text, offsets[token.map[0]], offsets[token.map[1]])), []
        elif token.type == "html_block" and not COMMENT.match(token.content):
            yield Block(BlockKind.PARAGRAPH, *spans.trim(text, offsets[token.map[0]], offsets[token.map[1]])), []


def _code(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of whole lines without blank ones around; the first line's indent belongs to the code."""
    lines = text[start:end]
    trimmed = lines.lstrip("\n")
    start += len(lines) - len(trimmed)
    end = start + len(trimmed.rstrip())
    return start, max(start, end)
