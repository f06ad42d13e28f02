"""What stands in a PDF page beside its running text: ruled tables and figures, each taken out of the lines of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from indexing.loaders import layout
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.layout import Inset, Line, Style
from indexing.loaders.pdf.aligned_tables import aligned, names_nothing
from indexing.loaders.pdf.booktabs import booktabs
from indexing.loaders.pdf.figures import CAPTION, STROKES, Region, around, regions, uncaptioned_drawings
from indexing.loaders.pdf.pictures import Shown, meet, picture, pictures_of, read, uncaptioned, unit
from indexing.loaders.pdf.ruled_tables import Ruled, tables
from indexing.loaders.pdf.rules import objects_of, rules
from indexing.loaders.pdf.words import displayed
from indexing.types import BlockKind, Box
from vision.reading_order import find_gutter

if TYPE_CHECKING:
    from pypdfium2 import PdfObject, PdfPage

TITLE_LEVEL = 5  # of a table's title as a heading, below those of the text
LEAST = 4  # cells with words; a table with fewer is a frame
LARGER = 1.2  # times the size of a table's words: a line so large is the title of a table that touches the one above

Word = tuple[str, Box, float]
Cells = list[list[list[Word]]]  # rows of cells of words


def insets(lines: Sequence[Line], page: PdfPage, number: int, style: Style, shown: Shown) -> tuple[list[Line], list[Inset]]:
    """The lines of page `number` that stand in no table and no figure; and these, in their order."""
    left = dict(enumerate(lines))
    made: list[tuple[int, Inset]] = []  # with the line that each stands at
    known: list[Box] = []
    objects = objects_of(page)
    for at, cells in _tables(left, objects, page):
        made.append((at, Inset(0, partial(_put_table, cells=cells))))
        known.append(around(_points(word[1], *page.get_size()) for row in cells for cell in row for word in cell))
    numbers, rest = list(left), list(left.values())
    figures, pictures = _figures(rest, known, objects, page, style), pictures_of(page)
    for region in figures:
        caption, inside = ([list(rest[at].words) for at in which] for which in (region.caption, region.inside))
        one = picture(region.box, page, number)
        if not region.caption and one.thumbnail in shown.pictures:
            continue
        shown.pictures.add(one.thumbnail)
        if not inside and any(meet(box, region.box) for box in pictures):
            inside = read(region.box, page, shown)
        at = numbers[region.caption[0]] if region.caption else _below(region.box, left, len(lines))
        made.append((at, Inset(0, partial(DocumentBuilder.drawn, caption=caption, inside=inside, picture=one))))
        for which in (*region.caption, *region.inside):
            del left[numbers[which]]
    for box in uncaptioned(pictures, rest, [region.box for region in figures], page):
        one = picture(box, page, number)
        if one.thumbnail not in shown.pictures:
            shown.pictures.add(one.thumbnail)
            made.append((_below(box, left, len(lines)), Inset(0, partial(DocumentBuilder.drawn, caption=[], inside=read(box, page, shown), picture=one))))
    return list(left.values()), [replace(inset, at=sum(number < at for number in left)) for at, inset in sorted(made, key=lambda pair: pair[0])]


def _below(box: Box, left: dict[int, Line], end: int) -> int:
    """The first line below a box."""
    return next((at for at, line in left.items() if line.y0 >= box[3] and line.x1 > box[0] and line.x0 < box[2]), end)


def _tables(left: dict[int, Line], objects: Sequence[PdfObject], page: PdfPage) -> list[tuple[int, Cells]]:
    """(line that it begins at, its words); these are taken from the lines."""
    found = []
    horizontal, vertical = rules(objects, page)
    ruled = tables(horizontal, vertical)
    open_ones = [table for table in booktabs(horizontal, _words(left.values(), page)) if not any(meet(table.box, other.box) for other in ruled)]
    known = [*ruled, *open_ones]
    bare = [table for column in _columns(list(left.values())) for table in aligned(_words(column, page)) if not any(meet(table.box, other.box) for other in known)]
    for table in (*known, *bare):
        lines = {id(word): number for number, line in left.items() for word in line.words}
        for cells in _parts(_filled(table, left, page), {word: left[number] for word, number in lines.items()}):
            if sum(bool(cell) for row in cells for cell in row) >= LEAST and sum(any(row[at] for row in cells) for at in range(len(cells[0]))) > 1:
                taken = {id(word) for row in cells for cell in row for word in cell}
                found.append((min(lines[word] for word in taken), cells))
                _take(left, taken)
    return found


def _columns(lines: Sequence[Line]) -> list[list[Line]]:
    """Those of each column of the page, which may be one."""
    gutter = find_gutter([(line.x0, line.y0, line.x1, line.y1) for line in lines])
    if gutter is None:
        return [list(lines)]
    return [[line for line in lines if (line.x1 <= gutter, line.x0 < gutter < line.x1, line.x0 >= gutter)[part]] for part in range(3)]


def _words(lines: Iterable[Line], page: PdfPage) -> list[tuple[str, Box]]:
    """In points."""
    return [(word[0], _points(word[1], *page.get_size())) for line in lines for word in line.words]


def _filled(table: Ruled, left: dict[int, Line], page: PdfPage) -> Cells:
    width, height = page.get_size()
    boxes = {(row, column): unit(box, width, height) for row, line in enumerate(table.rows) for column, box in enumerate(line) if box}
    cells: Cells = [[[] for _ in line] for line in table.rows]
    whole = unit(table.box, width, height)
    for line in left.values():
        for word in line.words:
            if not _holds(whole, word[1]):
                continue
            place = next((place for place, box in boxes.items() if _holds(box, word[1])), None)
            if place:
                cells[place[0]][place[1]].append(word)
    return [row for row in cells if any(row)] or cells[:1]


def _parts(cells: Cells, lines: dict[int, Line]) -> list[Cells]:
    """Tables that touch are drawn as one: it is cut above the larger lines between them, each the title of what follows. lines: by id of their words."""
    usual = layout.middle(lines[id(word)].size for row in cells for cell in row for word in cell)
    parts: list[Cells] = [[]]
    for row in cells:
        words = [word for cell in row for word in cell]
        alone = sum(map(bool, row)) == 1 and all(lines[id(word)].size >= LARGER * usual for word in words)
        if alone and any(sum(map(bool, above)) > 1 for above in parts[-1]):
            parts.append([])
        parts[-1].append(row)
    return parts


def _take(left: dict[int, Line], taken: set[int]) -> None:
    for number, line in list(left.items()):
        kept = tuple(word for word in line.words if id(word) not in taken)
        if not kept:
            del left[number]
        elif len(kept) < len(line.words):
            scale = (line.x1 - line.x0) / max(1e-6, line.words[-1][1][2] - line.words[0][1][0])
            start = line.words[0][1][0]
            ends = line.x0 + scale * (kept[0][1][0] - start), line.x0 + scale * (kept[-1][1][2] - start)
            left[number] = replace(line, words=kept, x0=ends[0], x1=ends[1], text=" ".join(word for word, _, _ in kept))


def _put_table(builder: DocumentBuilder, cells: Cells) -> None:
    """Rows that say one thing over the whole width, above the names of the columns, are the table's title. A first row of figures names no columns."""
    titles = list(takewhile(lambda row: sum(map(bool, row)) == 1, cells))
    for row in titles:
        builder.words([word for word in row if word], BlockKind.HEADING, TITLE_LEVEL)
    for number, row in enumerate(cells[len(titles) :]):
        builder.cells(row, BlockKind.ROW if number or names_nothing([" ".join(word[0] for word in cell) for cell in row]) else BlockKind.HEADER)


def _figures(lines: list[Line], tables: list[Box], objects: Sequence[PdfObject], page: PdfPage, style: Style) -> list[Region]:
    drawn = _drawn(objects, page)
    if len(drawn) < STROKES and not any(CAPTION.match(line.text) for line in lines):
        return []
    numbers = {id(line): at for at, line in enumerate(lines)}
    groups = [[numbers[id(line)] for line in group] for group in layout.paragraphs(lines, style)]
    named = regions(lines, groups, drawn, *page.get_size())
    taken = {at for region in named for at in (*region.caption, *region.inside)}
    return named + [one for one in uncaptioned_drawings(lines, groups, drawn, [*tables, *(region.box for region in named)], *page.get_size()) if taken.isdisjoint(one.inside)]


def _drawn(objects: Sequence[PdfObject], page: PdfPage) -> list[Box]:
    """The boxes of pictures and shapes, in points, y downwards; what lies within others (forms) is taken as one."""
    import pypdfium2.raw as pdfium

    place = displayed(page)
    return [place(thing.get_bounds()) for thing in objects if thing.type != pdfium.FPDF_PAGEOBJ_TEXT]


def _points(box: Box, width: float, height: float) -> Box:
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def _holds(box: Box, word: Box) -> bool:
    return box[0] <= (word[0] + word[2]) / 2 <= box[2] and box[1] <= (word[1] + word[3]) / 2 <= box[3]
