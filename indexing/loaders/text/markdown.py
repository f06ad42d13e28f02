"""Markdown: Document.text is the decoded file; blocks come from markdown-it's line maps (CommonMark and tables)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.images.inner_pictures import InnerPictures, Resolve, beside
from indexing.loaders.registry import Alive
from indexing.loaders.text import spans
from indexing.loaders.text.decode import read_text
from indexing.types import Block, BlockKind, Document, Picture

if TYPE_CHECKING:
    from markdown_it.token import Token

STRUCTURED = (
    20 << 20
)  # characters; a longer text (a dump, no page) is taken as prose: the parser takes 100 times its size
FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
COMMENT = re.compile(r"\A<!--.*?-->\s*\Z", re.DOTALL)


def load(path: Path, alive: Alive) -> Iterator[Document]:
    text = read_text(path)
    if len(text) > STRUCTURED:
        blocks, pictures = spans.prose(text), ()
    else:
        blocks, pictures = _illustrated(text, beside(path), InnerPictures(alive))
    yield Document(text=text, blocks=blocks, title=title_of(text, blocks), format="markdown", pictures=pictures)


def title_of(text: str, blocks: tuple[Block, ...]) -> str:
    return next((" ".join(text[b.start : b.end].split()) for b in blocks if b.kind is BlockKind.HEADING), "")


def blocks_of(text: str) -> tuple[Block, ...]:
    """Spans of headings (without their marks), paragraphs, list items, code and table lines, in order."""
    return tuple(block for block, _ in _parsed(text))


def _illustrated(text: str, resolve: Resolve, inner: InnerPictures) -> tuple[tuple[Block, ...], tuple[Picture, ...]]:
    """The blocks, and the pictures among them: one that is a paragraph is a figure, and its alternative text the figure's; others follow their paragraph."""
    blocks: list[Block] = []
    pictures: list[Picture] = []
    for block, inline in _parsed(text):
        shown = [token for token in inline if token.type == "image"]
        found = [(image, picture) for image in shown if (picture := inner.kept(resolve(str(image.attrGet("src") or "")))) is not None]
        alone = len(inline) == 1
        if not (found and alone):
            blocks.append(block)
        for image, picture in found:
            said = text.find(image.content, block.start, block.end) if alone and image.content.strip() else -1
            span = (said, said + len(image.content)) if said >= 0 else (block.end, block.end)
            pictures.append(replace(picture, block=len(blocks)))
            blocks.append(Block(BlockKind.FIGURE, *span))
    return tuple(blocks), tuple(pictures)


def _parsed(text: str) -> Iterator[tuple[Block, list[Token]]]:
    """Blocks, and what a paragraph is made of."""
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
                found = text.find(token.content, offsets[first], offsets[last])  # not there: an underlined one of lines
                span = (
                    (found, found + len(token.content))
                    if found >= 0
                    else spans.trim(text, offsets[first], offsets[last])
                )
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
    """Whole lines without the blank ones around: the first line's indent belongs to the code."""
    lines = text[start:end]
    trimmed = lines.lstrip("\n")
    start += len(lines) - len(trimmed)
    end = start + len(trimmed.rstrip())
    return start, max(start, end)
