"""A passage and its quotes in, HTML out: text escaped, quotes marked, table rows as a table. Pure.

A document's text is hostile until it is escaped, and no function returns it unescaped. Every function keeps the text
whole: the HTML of a passage without tags, unescaped, is the passage, character for character. The one addition is the
header of a table that stands elsewhere in its document (<thead class=borrowed>).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from statistics import median

Span = tuple[int, int]

SEPARATOR = " | "  # between the cells of a row, as the loaders write it
# a cell without the bars and blanks around it
_EDGES = re.compile(r"\s*(?:\|\s)?\s*(?P<cell>.*?)\s*(?:(?:^|(?<=\s))\|)?\s*\Z", re.DOTALL)
WRAPPED = 0.75  # of the longest line: the median line of wrapped prose is longer


def highlight(text: str, spans: Iterable[Span]) -> str:
    """The escaped text with <mark> around the spans, which may overlap, touch or reach beyond the text."""
    parts, at = [], 0
    for start, end in _merged(spans, len(text)):
        parts += [escape(text[at:start]), "<mark>", escape(text[start:end]), "</mark>"]
        at = end
    return "".join([*parts, escape(text[at:])])


def passage(text: str, spans: Sequence[Span] = (), header: str = "") -> str:
    """A passage with its quotes marked. header: the table's header row; rows of as many cells become a table."""
    if header and (rows := _rows(text, header)):
        return _table(text, rows, spans, header)
    kind = "passage flowing" if is_wrapped(text) else "passage"
    paragraphs = (_paragraph(text[start:end], _within(spans, start, end)) for start, end in _paragraphs(text))
    return f'<div class="{kind}">{"".join(paragraphs)}</div>'


def shorten(text: str, width: int) -> str:
    """The text on one line of at most `width` characters, cut at a word; not escaped."""
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
    """The parts of the spans in [start, end), counted from `start`."""
    inside = ((left, right) for left, right in spans if left < end and right > start)
    return [(max(left, start) - start, min(right, end) - start) for left, right in inside]


def _paragraphs(text: str) -> Iterator[Span]:
    """The parts of a text between blank lines; each keeps the blank lines after it."""
    at = 0
    for gap in re.finditer(r"\n[^\S\n]*\n\s*", text):
        yield at, gap.end()
        at = gap.end()
    if at < len(text):
        yield at, len(text)


def _paragraph(text: str, spans: Sequence[Span]) -> str:
    """A paragraph. The blank lines after it stay in the text but are hidden: the style sheet spaces paragraphs."""
    body = text.rstrip()
    return f"<p>{highlight(body, spans)}{_hidden(text[len(body) :])}</p>"


def is_wrapped(text: str) -> bool:
    """Whether lines end only where the page was full, as in a PDF's prose."""
    lines = [len(line) for line in text.split("\n") if line.strip()]
    return len(lines) > 2 and max(lines) > 30 and median(lines) > WRAPPED * max(lines)


def _rows(text: str, header: str) -> list[Span]:
    """The spans of the lines, if every line has as many cells as the header; else none."""
    cells = header.count(SEPARATOR)
    rows, at = [], 0
    for line in text.splitlines(keepends=True):
        rows.append((at, at + len(line)))
        at += len(line)
    return rows if cells and all(text[start:end].count(SEPARATOR) == cells for start, end in rows) else []


def _table(text: str, rows: Sequence[Span], spans: Sequence[Span], header: str) -> str:
    """Rows as a table. Separators and line ends stay in the text but are hidden, so that a copied table reads well."""
    lines = []
    for start, end in rows:
        marks = _within(spans, start, end)
        tag = "th" if text[start:end].strip() == header else "td"
        cited = " class=cited" if marks and tag == "td" else ""
        lines.append(f"<tr{cited}>{_cells(text[start:end], tag, marks)}</tr>")
    if text[slice(*rows[0])].strip() == header:
        head, kind = lines.pop(0), ""
    else:  # the header stands elsewhere in the document: it is shown, but is not part of the passage
        head, kind = f"<tr>{_cells(header, 'th', ())}</tr>", " class=borrowed"
    return f'<div class="passage table"><table><thead{kind}>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>'


def _cells(line: str, tag: str, spans: Sequence[Span]) -> str:
    cells, at = [], 0
    for part in re.split(f"(?<={re.escape(SEPARATOR)})", line):
        left, right = _EDGES.match(part).span("cell")
        inner = highlight(part[left:right], _within(spans, at + left, at + right))
        cells.append(f"<{tag}>{_hidden(part[:left])}{inner}{_hidden(part[right:])}</{tag}>")
        at += len(part)
    return "".join(cells)


def _hidden(text: str) -> str:
    """The style sheet hides <i> in passages."""
    return f"<i>{escape(text)}</i>" if text else ""
