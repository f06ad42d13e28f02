"""A random page of a kind, filled from tables and from names of goods.

In: a kind and a random generator. Out: a page, or None if the table drawn for it does not fit.
"""

from __future__ import annotations

import json
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path

from models.training.table_contexts import Table, has_value, key_columns, read_tables
from models.training.training_sets import TABLE_SETS, is_held_out
from vision.training.rendered.charts import chart
from vision.training.rendered.fact import Rendered
from vision.training.rendered.forms import form
from vision.training.rendered.grids import grid
from vision.training.rendered.receipts import receipt

Rows = tuple[tuple[str, ...], ...]

KINDS = ("receipt", "form", "chart", "table")
CATEGORY_LENGTH, CELL_LENGTH = 24, 40  # characters at most of a chart's category, and of a cell of a table or form


@dataclass(frozen=True, slots=True)
class Material:
    """What pages are filled with."""

    goods: list[str]  # names of things that shops sell
    tables: list[Table]


def material(data: Path) -> Material:
    """Labels of photographs and tables of the training sets below the folder `data`, without held-out tables."""
    goods: set[str] = set()
    for path in sorted((data / "images").glob("photos-*.tar")):
        with tarfile.open(path) as tar:
            described = (tar.extractfile(member) for member in tar if member.name.endswith(".json"))
            goods |= {json.load(file)["label"] for file in described}  # type: ignore[arg-type]
    files = [data / "qa" / "train" / f"{name}.jsonl.gz" for name in TABLE_SETS]
    tables = [table for table in read_tables(files) if not is_held_out(table.context)]
    return Material(sorted(name.replace("-", " ").replace("_", " ") for name in goods), tables)


def random_page(kind: str, given: Material, rng: random.Random) -> Rendered | None:
    """A page of one of KINDS; None if the table drawn for it does not fit."""
    if kind == "receipt":
        return receipt(given.goods, rng)
    if kind == "form" and rng.random() < 0.5:
        return form((), "", rng)
    table = rng.choice(given.tables)
    if kind == "form":
        return _form_of_row(table, rng)
    keys = key_columns(table)
    if not keys:
        return None
    first = rng.randint(0, max(0, len(table.rows) - 3))
    rows = table.rows[first : first + rng.randint(3, 9)]
    return (_grid_of_rows if kind == "table" else _chart_of_rows)(table, rows, keys[0], rng)


def _form_of_row(table: Table, rng: random.Random) -> Rendered | None:
    cells = zip(table.header, rng.choice(table.rows), strict=True)
    fields = [(name, cell) for name, cell in cells if has_value(cell) and len(cell) <= CELL_LENGTH]
    return form(fields, table.title, rng) if len(fields) > 2 else None


def _grid_of_rows(table: Table, rows: Rows, key: int, rng: random.Random) -> Rendered | None:
    """key: the column that identifies the rows."""
    wanted = min(len(table.header), rng.randint(2, 5))
    columns = sorted({key, *rng.sample(range(len(table.header)), wanted)})
    cells = [[row[at] for at in columns] for row in rows]
    header = [table.header[at] for at in columns]
    fits = max(len(cell) for row in (header, *cells) for cell in row) <= CELL_LENGTH
    return grid(table.title, header, cells, columns.index(key), rng) if fits else None


def _chart_of_rows(table: Table, rows: Rows, key: int, rng: random.Random) -> Rendered | None:
    numeric = [at for at in range(len(table.header)) if at != key and all(_numeric(row[at]) for row in rows)]
    if not numeric or any(len(row[key]) > CATEGORY_LENGTH for row in rows):
        return None
    column = rng.choice(numeric)
    points = [(row[key], row[column]) for row in rows]
    return chart(table.title, table.header[column], table.header[key], points, rng)


def _numeric(cell: str) -> bool:
    return cell.replace(",", "").strip("$£€%").replace(".", "", 1).isdigit()
