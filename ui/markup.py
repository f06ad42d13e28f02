"""Text of sources as HTML: escaped, its quotes marked, its tables as tables. Pure.

What comes from a document is hostile until it is escaped, and nothing here is handed on unescaped. Every function keeps
the text whole: without its tags, and unescaped, the HTML of a passage is the passage again, character for character
(a table's header that stands elsewhere in the document, <thead class=borrowed>, comes on top).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from statistics import median

Span = tuple[int, int]

SEPARATOR = " | "  # between the cells of a row, as the loaders write it
_EDGES = re.compile(r"\s*(?:\|\s)?\s*(?P<cell>.*?)\s*(?:(?:^|(?<=\s))\|)?\s*\Z", re.DOTALL)  # a cell, without bars and blanks around it
WRAPPED = 0.75  # lines of running text are nearly as long as the longest one


def highlight(text: str, spans: Iterable[Span]) -> str:
    """The escaped text with <mark> around the spans; they may overlap, touch or reach out of the text."""
    parts, at = [], 0
    for start, end in _merged(spans, len(text)):
        parts += [escape(text[at:start]), "<mark>", escape(text[start:end]), "</mark>"]
        at = end
    return "".join([*parts, escape(text[at:])])


def passage(text: str, spans: Sequence[Span] = (), header: str = "") -> str:
    """A passage with its quotes marked. header: the header row above it; then rows of as many cells become a table."""
    if header and (rows := _rows(text, header)):
        return _table(text, rows, spans, header)
    kind = "passage flowing" if is_wrapped(text) else "passage"
    return f'<div class="{kind}">{"".join(_paragraph(text[start:end], _within(spans, start, end)) for start, end in _paragraphs(text))}</div>'


def shorten(text: str, width: int) -> str:
    """One line of at most `width` characters; not escaped."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1].rsplit(" ", 1)[0] + "…"


def _merged(spans: Iterable[Span], length: int) -> Iterator[Span]:
    inside = sorted((max(0, start), min(length, end)) for start, end in spans)
    last: Span | None = None
    for start, end in inside:
        if start >= end:
            continue
        if last and start <= last[1]:
            last = last[0], max(last[1], end)
        else:
            if last:
                yield last
            last = start, end
    if last:
        yield last


def _within(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """The spans, counted from `start`, as far as they reach into [start, end)."""
    return [(max(left, start) - start, min(right, end) - start) for left, right in spans if left < end and right > start]


def _paragraphs(text: str) -> Iterator[Span]:
    """The parts of a text between blank lines; each keeps the blank lines after it."""
    at = 0
    for gap in re.finditer(r"\n[^\S\n]*\n\s*", text):
        yield at, gap.end()
        at = gap.end()
    if at < len(text):
        yield at, len(text)


def _paragraph(text: str, spans: Sequence[Span]) -> str:
    """The blank lines after it stay in the text, out of sight: the space between paragraphs is the page's own matter."""
    body = text.rstrip()
    return f"<p>{highlight(body, spans)}{_unseen(text[len(body) :])}</p>"


def is_wrapped(text: str) -> bool:
    """Whether line ends are only where the page was full, as in a PDF's prose; else they are kept."""
    lines = [len(line) for line in text.split("\n") if line.strip()]
    return len(lines) > 2 and max(lines) > 30 and median(lines) > WRAPPED * max(lines)


def _rows(text: str, header: str) -> list[Span]:
    """The lines of the text when all of them have as many cells as the header; else none."""
    cells = header.count(SEPARATOR)
    rows, at = [], 0
    for line in text.splitlines(keepends=True):
        rows.append((at, at + len(line)))
        at += len(line)
    return rows if cells and all(text[start:end].count(SEPARATOR) == cells for start, end in rows) else []


def _table(text: str, rows: Sequence[Span], spans: Sequence[Span], header: str) -> str:
    """Rows as a table. Separators and line ends stay in the text, out of sight, so that a copied table reads well."""
    lines = []
    for start, end in rows:
        marked = any(left < end and right > start for left, right in spans)
        tag = "th" if text[start:end].strip() == header else "td"
        lines.append(f"<tr{' class=cited' if marked and tag == 'td' else ''}>{_cells(text[start:end], tag, _within(spans, start, end))}</tr>")
    if text[slice(*rows[0])].strip() == header:
        head, kind = lines.pop(0), ""
    else:  # the header stands elsewhere in the document: shown, but no part of the passage's text
        head, kind = f"<tr>{_cells(header, 'th', ())}</tr>", " class=borrowed"
    return f'<div class="passage table"><table><thead{kind}>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>'


def _cells(line: str, tag: str, spans: Sequence[Span]) -> str:
    cells, at = [], 0
    for part in re.split(f"(?<={re.escape(SEPARATOR)})", line):
        left, right = _EDGES.match(part).span("cell")
        inner = highlight(part[left:right], _within(spans, at + left, at + right))
        cells.append(f"<{tag}>{_unseen(part[:left])}{inner}{_unseen(part[right:])}</{tag}>")
        at += len(part)
    return "".join(cells)


def _unseen(text: str) -> str:
    return f"<i>{escape(text)}</i>" if text else ""
