"""Workbooks, by openpyxl, streamed -> a page for each sheet: its rows, then its pictures.

Values are written as people write them, formulas as their last result.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.archive import open_zip
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.images.inner_pictures import InnerPictures
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError

if TYPE_CHECKING:
    from zipfile import ZipFile

    from openpyxl.cell.read_only import ReadOnlyCell
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

MAX_COLUMNS = 1024
MAX_CELLS = 5_000_000  # filled ones, over all sheets
ALIVE_EVERY = 1000  # rows


def load(path: Path, alive: Alive) -> Iterator[Document]:
    from openpyxl import load_workbook

    builder, pictures = DocumentBuilder(), InnerPictures(alive)
    with open_zip(path) as archive, path.open("rb") as file:  # given a path, openpyxl judges by the suffix
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        alive()
        room = MAX_CELLS
        for number, sheet in enumerate(book.worksheets, 1):
            builder.page(number, label=sheet.title)
            room -= _sheet(builder, sheet, room, alive)
            for content in _pictures(archive, sheet._worksheet_path):  # openpyxl skips them when it streams
                pictures.put(builder, content)
        title = book.properties.title or ""
    yield builder.build(title=title, format="xlsx")


def _pictures(archive: ZipFile, sheet: str) -> Iterator[bytes]:
    """The pictures that are laid over a sheet. sheet: name of its member in the archive."""
    for drawing in _related(archive, sheet, "drawing"):
        for image in _related(archive, drawing, "image"):
            yield archive.read(image)


def _related(archive: ZipFile, part: str, kind: str) -> list[str]:
    """The members that a member of the archive refers to by relationships of a kind."""
    from openpyxl.packaging.relationship import get_dependents, get_rels_path

    there, listed = set(archive.namelist()), get_rels_path(part)
    found = get_dependents(archive, listed) if listed in there else ()
    return [one.target for one in found if one.Type.endswith(f"/{kind}") and one.target in there]


def _sheet(builder: DocumentBuilder, sheet: ReadOnlyWorksheet, room: int, alive: Alive) -> int:
    """Append the sheet, return the number of filled cells.

    The header is the first row with more than one filled cell; lone cells above it are captions.
    """
    sheet.reset_dimensions()  # what the file declares is often wrong, and then cells would be lost
    filled, headed = 0, False
    for number, row in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS)):
        if number % ALIVE_EVERY == 0:
            alive()
        cells = [write_value(cell) for cell in row]
        count = sum(map(bool, cells))
        filled += count
        if filled > room:
            raise LoadError(f"more than {MAX_CELLS:,} filled cells: save it as CSV, which is read in parts")
        if not count:
            continue
        if headed:
            builder.row(cells)
        elif count == 1:
            builder.paragraph("".join(cells))
        else:
            builder.header(cells)
            headed = True
    return filled


def write_value(cell: ReadOnlyCell) -> str:
    """12 for 12.0, 35% where the cell is formatted so, ISO dates, no time of day at midnight."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        if "%" in (cell.number_format or ""):
            return f"{value * 100:.10g}%"
        return str(value) if isinstance(value, int) else f"{value:.15g}"
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return value.isoformat(timespec="minutes")
    return str(value)
