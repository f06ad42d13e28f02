"""An HTML table -> rows of texts. A table used for layout comes out as elements to be read like any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexing.loaders.html.nodes import hidden, leaf_text

if TYPE_CHECKING:
    from bs4.element import PageElement, Tag

MAX_COLUMNS = 256
LONG_CELL = 2000  # characters; a cell that holds more is a page part, not a value
COMPLEX = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "pre")  # what a row of texts cannot hold
SECTIONS = ("thead", "tbody", "tfoot")


@dataclass(frozen=True, slots=True)
class TableRow:
    cells: tuple[str, ...]
    header: bool = False


@dataclass(slots=True)
class _Carry:
    """A cell that spans following rows."""

    text: str
    rows: int  # that it still spans


def table_parts(table: Tag) -> list[PageElement | TableRow]:
    """The table's caption, rows and whatever else it holds, in order.

    A cell that spans rows is repeated in each, so that every row can be read alone. A cell that spans columns is
    repeated in header rows, where it belongs to each column below it, and else stands in its first column only.
    Leading header rows are folded into one. A header row of a single cell over all columns becomes the header only
    where no other follows.
    """
    parts: list[PageElement | TableRow] = []
    carries: dict[int, _Carry] = {}
    for node, in_head in _children(table):
        if node.name != "tr" or not _is_row(node):
            parts.append(node)
        else:
            parts.append(_row(node, in_head, carries))
    if max((len(part.cells) for part in parts if isinstance(part, TableRow)), default=0) < 2:
        return list(table.contents)
    return _fold_headers(parts)


def _children(table: Tag) -> Iterator[tuple[Tag, bool]]:
    for child in table.find_all(True, recursive=False):
        if child.name in SECTIONS:
            for row in child.find_all(True, recursive=False):
                yield row, child.name == "thead"
        elif child.name not in ("colgroup", "col"):
            yield child, False


def _is_row(row: Tag) -> bool:
    cells = row.find_all(True, recursive=False)
    return (
        bool(cells)
        and all(cell.name in ("td", "th") for cell in cells)
        and row.find(COMPLEX) is None
        and all(len(leaf_text(cell)) <= LONG_CELL for cell in cells)
    )


def _row(row: Tag, in_head: bool, carries: dict[int, _Carry]) -> TableRow:
    cells = [cell for cell in row.find_all(("td", "th"), recursive=False) if not hidden(cell)]
    header = in_head or all(cell.name == "th" for cell in cells)
    texts: list[str] = []

    def carried() -> None:
        while (carry := carries.get(len(texts))) is not None:
            carry.rows -= 1
            if carry.rows == 0:
                del carries[len(texts)]
            texts.append(carry.text)

    for cell in cells:
        carried()
        text = " ".join(leaf_text(cell).split())
        rows, columns = _span(cell, "rowspan"), min(_span(cell, "colspan"), MAX_COLUMNS)
        for offset in range(columns):
            if len(texts) >= MAX_COLUMNS and offset:
                break
            if rows > 1:
                carries[len(texts)] = _Carry(text if header or not offset else "", rows - 1)
            texts.append(text if header or not offset else "")
    if header and len(cells) == 1:  # a banner over all columns
        del texts[1:]
    carried()
    return TableRow(tuple(texts), header)


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name) or "1").strip()
    return max(int(value), 1) if value.isdecimal() and len(value) < 7 else 1


def _fold_headers(parts: list[PageElement | TableRow]) -> list[PageElement | TableRow]:
    first = next(i for i, part in enumerate(parts) if isinstance(part, TableRow))
    last = first
    while last < len(parts) and isinstance(parts[last], TableRow) and parts[last].header:
        last += 1
    heads = [part.cells for part in parts[first:last] if any(part.cells)]
    if last == len(parts):  # nothing but header cells: they are all the content there is
        return [TableRow(part.cells) if isinstance(part, TableRow) else part for part in parts]
    banners = [cells[:1] for cells in heads if len(set(cells)) == 1]  # one cell over all columns
    columns = [cells for cells in heads if len(set(cells)) > 1]
    if not columns and banners:
        banners, columns = banners[:-1], banners[-1:]
    folded: list[PageElement | TableRow] = [TableRow(banner) for banner in banners]
    if columns:
        width = max(map(len, columns))
        padded = [cells + ("",) * (width - len(cells)) for cells in columns]
        names = (" ".join(dict.fromkeys(filter(None, column))) for column in zip(*padded, strict=True))
        folded.append(TableRow(tuple(names), header=True))
    # A row of header cells further down names the rows below it; the builder takes it as a new header.
    return [*parts[:first], *folded, *parts[last:]]
