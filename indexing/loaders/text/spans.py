"""Blocks as spans over an unchanged text. Pure; knows nothing of files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexing.types import Block, BlockKind

LINES = re.compile(r"[^\n]*\n|[^\n]+")


def prose(text: str) -> tuple[Block, ...]:
    """Paragraphs: runs of lines that are not blank."""
    return tuple(Block(BlockKind.PARAGRAPH, start, end) for start, end in _runs(text))


def code(text: str) -> tuple[Block, ...]:
    """Code blocks that begin, after a blank line, with a line in column 0; indented parts stay with their head.

    A line of closing brackets in column 0 ends a definition, so it does not begin one.
    """
    blocks: list[tuple[int, int]] = []
    for start, end in _runs(text, keep_indent=True):
        first = text[start]
        if blocks and (first.isspace() or first in ")]}"):
            blocks[-1] = (blocks[-1][0], end)
        else:
            blocks.append((start, end))
    return tuple(Block(BlockKind.CODE, start, end) for start, end in blocks)


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without outer white space; empty spans come out with start == end."""
    part = text[start:end]
    end = start + len(part.rstrip())
    return min(start + len(part) - len(part.lstrip()), end), end


def _runs(text: str, keep_indent: bool = False) -> Iterator[tuple[int, int]]:
    start = end = -1
    for match in LINES.finditer(text):
        if match[0].isspace():
            if start >= 0:
                yield start, end
            start = -1
            continue
        line = match[0]
        if start < 0:
            start = match.start() + (0 if keep_indent else len(line) - len(line.lstrip()))
        end = match.start() + len(line.rstrip())
    if start >= 0:
        yield start, end
