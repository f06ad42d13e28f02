"""Tables and figures of a PDF page, each taken out of the lines of its running text.

In: the lines of a page. Out: the other lines, and insets that append a table or a figure between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from indexing.loaders import layout
from indexing.loaders.builder import DocumentBuilder, PlacedWord
from indexing.loaders.captions import FIGURE_CAPTION
from indexing.loaders.layout import Inset, Line, Style
from indexing.loaders.pdf.aligned_tables import aligned, is_row_of_figures
from indexing.loaders.pdf.booktabs import booktabs
from indexing.loaders.pdf.figures import STROKES, Region, regions, uncaptioned_drawings
from indexing.loaders.pdf.geometry import around, covers, meet, to_points, to_unit
from indexing.loaders.pdf.pictures import Shown, figure_picture, pictures_of, read, uncaptioned_pictures
from indexing.loaders.pdf.ruled_tables import Ruled, tables
from indexing.loaders.pdf.rules import objects_of, rules
from indexing.loaders.pdf.words import displayed
from indexing.types import BlockKind, Box
from vision.reading_order import find_gutter

if TYPE_CHECKING:
    from pypdfium2 import PdfObject, PdfPage

TITLE_LEVEL = 5  # of a table's title as a heading, below those of the text
LEAST = 4  # cells with words; a table with fewer is a frame
LARGER = 1.2  # times the font size of a table's words: a line so large is the title of a second table that touches it

Cells = list[list[list[PlacedWord]]]  # rows of cells of words
Put = Callable[[DocumentBuilder], None]


def insets(
    lines: Sequence[Line], page: PdfPage, number: int, style: Style, shown: Shown
) -> tuple[list[Line], list[Inset]]:
    """The lines of page `number` that are in no table and no figure, and the tables and figures in reading order."""
    left = dict(enumerate(lines))  # what remains of the lines, by their number
    made: list[tuple[int, Put]] = []  # tables and figures, with the number of the line that they go before
    table_boxes: list[Box] = []
    objects = objects_of(page)
    for at, cells in _tables(left, objects, page):
        made.append((at, partial(_put_table, cells=cells)))
        words = [word for row in cells for cell in row for word in cell]
        table_boxes.append(around(to_points(box, *page.get_size()) for _, box, _ in words))
    numbers, rest = list(left), list(left.values())
    figures, pictures = _figures(rest, table_boxes, objects, page, style), pictures_of(page)
    for region in figures:
        caption, inside = ([list(rest[at].words) for at in which] for which in (region.caption, region.inside))
        picture = figure_picture(region.box, page, number)
        if not region.caption and picture.thumbnail in shown.pictures:
            continue
        shown.pictures.add(picture.thumbnail)
        if not inside and any(meet(box, region.box) for box in pictures):
            inside = read(region.box, page, shown)
        at = numbers[region.caption[0]] if region.caption else _first_below(region.box, left, len(lines))
        made.append((at, partial(DocumentBuilder.placed_figure, caption=caption, inside=inside, picture=picture)))
        for which in (*region.caption, *region.inside):
            del left[numbers[which]]
    for box in uncaptioned_pictures(pictures, rest, [region.box for region in figures], page):
        picture = figure_picture(box, page, number)
        if picture.thumbnail not in shown.pictures:
            shown.pictures.add(picture.thumbnail)
            put = partial(DocumentBuilder.placed_figure, caption=[], inside=read(box, page, shown), picture=picture)
            made.append((_first_below(box, left, len(lines)), put))
    made.sort(key=lambda pair: pair[0])
    return list(left.values()), [Inset(sum(number < at for number in left), put) for at, put in made]


def _first_below(box: Box, left: dict[int, Line], end: int) -> int:
    """The number of the first line below a box, `end` where there is none."""
    return next((at for at, line in left.items() if line.y0 >= box[3] and line.x1 > box[0] and line.x0 < box[2]), end)


def _tables(left: dict[int, Line], objects: Sequence[PdfObject], page: PdfPage) -> list[tuple[int, Cells]]:
    """(number of its first line, its words) of each table; the words are taken from the lines."""
    found = []
    for table in _table_grids(left, objects, page):
        numbers = {id(word): number for number, line in left.items() for word in line.words}
        lines = {word: left[number] for word, number in numbers.items()}
        for cells in _split_at_titles(_filled(table, left, page), lines):
            filled = sum(bool(cell) for row in cells for cell in row)
            columns = sum(any(row[at] for row in cells) for at in range(len(cells[0])))
            if filled >= LEAST and columns > 1:
                taken = {id(word) for row in cells for cell in row for word in cell}
                found.append((min(numbers[word] for word in taken), cells))
                _take(left, taken)
    return found


def _table_grids(left: dict[int, Line], objects: Sequence[PdfObject], page: PdfPage) -> list[Ruled]:
    """Ruled tables, then tables with horizontal rules, then tables without rules; none overlaps one before."""
    horizontal, vertical = rules(objects, page)
    known = tables(horizontal, vertical)
    open_sided = booktabs(horizontal, _words(left.values(), page))
    known = known + [table for table in open_sided if not any(meet(table.box, other.box) for other in known)]
    bare = [table for column in _columns(list(left.values())) for table in aligned(_words(column, page))]
    return known + [table for table in bare if not any(meet(table.box, other.box) for other in known)]


def _columns(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines by column of the page: left, across both, right; or all of them in one."""
    gutter = find_gutter([(line.x0, line.y0, line.x1, line.y1) for line in lines])
    if gutter is None:
        return [list(lines)]
    return [
        [line for line in lines if line.x1 <= gutter],
        [line for line in lines if line.x0 < gutter < line.x1],
        [line for line in lines if line.x0 >= gutter],
    ]


def _words(lines: Iterable[Line], page: PdfPage) -> list[tuple[str, Box]]:
    """Words with their boxes in points."""
    return [(text, to_points(box, *page.get_size())) for line in lines for text, box, _ in line.words]


def _filled(table: Ruled, left: dict[int, Line], page: PdfPage) -> Cells:
    """The words of the lines in the cells of a table, without empty rows."""
    size = page.get_size()
    boxes = {
        (row, column): to_unit(box, *size)
        for row, line in enumerate(table.rows) for column, box in enumerate(line) if box
    }
    cells: Cells = [[[] for _ in line] for line in table.rows]
    whole = to_unit(table.box, *size)
    for line in left.values():
        for word in line.words:
            if not covers(whole, word[1]):
                continue
            place = next((place for place, box in boxes.items() if covers(box, word[1])), None)
            if place:
                cells[place[0]][place[1]].append(word)
    return [row for row in cells if any(row)] or cells[:1]


def _split_at_titles(cells: Cells, lines: dict[int, Line]) -> list[Cells]:
    """Tables that touch have one grid: it is cut above the larger lines in it, each the title of what follows.

    lines: the line of each word, by the word's id.
    """
    usual = layout.middle(lines[id(word)].size for row in cells for cell in row for word in cell)
    parts: list[Cells] = [[]]
    for row in cells:
        words = [word for cell in row for word in cell]
        is_title = sum(map(bool, row)) == 1 and all(lines[id(word)].size >= LARGER * usual for word in words)
        if is_title and any(sum(map(bool, above)) > 1 for above in parts[-1]):
            parts.append([])
        parts[-1].append(row)
    return parts


def _take(left: dict[int, Line], taken: set[int]) -> None:
    """Remove words, given by their ids, from the lines."""
    for number, line in list(left.items()):
        words = tuple(word for word in line.words if id(word) not in taken)
        if not words:
            del left[number]
        elif len(words) < len(line.words):
            start = line.words[0][1][0]
            scale = (line.x1 - line.x0) / max(1e-6, line.words[-1][1][2] - start)  # points of a page unit
            x0, x1 = line.x0 + scale * (words[0][1][0] - start), line.x0 + scale * (words[-1][1][2] - start)
            left[number] = replace(line, words=words, x0=x0, x1=x1, text=" ".join(word for word, _, _ in words))


def _put_table(builder: DocumentBuilder, cells: Cells) -> None:
    """Append a table. First rows of a single cell are its title; a first row of figures is no header."""
    titles = list(takewhile(lambda row: sum(map(bool, row)) == 1, cells))
    for row in titles:
        builder.words([word for word in row if word], BlockKind.HEADING, TITLE_LEVEL)
    for number, row in enumerate(cells[len(titles) :]):
        texts = [" ".join(word[0] for word in cell) for cell in row]
        builder.cells(row, BlockKind.ROW if number or is_row_of_figures(texts) else BlockKind.HEADER)


def _figures(
    lines: list[Line], table_boxes: list[Box], objects: Sequence[PdfObject], page: PdfPage, style: Style
) -> list[Region]:
    """The figures with a caption, then the drawings without one."""
    drawn = _drawn(objects, page)
    if len(drawn) < STROKES and not any(FIGURE_CAPTION.match(line.text) for line in lines):
        return []
    numbers = {id(line): at for at, line in enumerate(lines)}
    groups = [[numbers[id(line)] for line in group] for group in layout.paragraphs(lines, style)]
    captioned = regions(lines, groups, drawn, *page.get_size())
    taken = {at for region in captioned for at in (*region.caption, *region.inside)}
    known = [*table_boxes, *(region.box for region in captioned)]
    bare = uncaptioned_drawings(lines, groups, drawn, known, *page.get_size())
    return captioned + [region for region in bare if taken.isdisjoint(region.inside)]


def _drawn(objects: Sequence[PdfObject], page: PdfPage) -> list[Box]:
    """The boxes of images and shapes, in points, y downwards; a form is one of them."""
    import pypdfium2.raw as pdfium

    place = displayed(page)
    return [place(item.get_bounds()) for item in objects if item.type != pdfium.FPDF_PAGEOBJ_TEXT]
