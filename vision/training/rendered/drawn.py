"""Pages of every kind, filled from tables and names of goods."""

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

KINDS = ("receipt", "form", "chart", "table")
SHORT, CELL_LENGTH = 24, 40  # characters of a chart's category; of a cell that is drawn


@dataclass(frozen=True, slots=True)
class Material:
    """What pages are filled with."""

    goods: list[str]
    tables: list[Table]


def material(data: Path) -> Material:
    """data: the folder of question sets and pictures. Tables that training holds out are not drawn."""
    goods: set[str] = set()
    for path in sorted((data / "images").glob("photos-*.tar")):
        with tarfile.open(path) as tar:
            goods |= {json.load(tar.extractfile(member))["label"] for member in tar if member.name.endswith(".json")}  # type: ignore[arg-type]
    tables = [table for table in read_tables([data / "qa" / "train" / f"{name}.jsonl.gz" for name in TABLE_SETS]) if not is_held_out(table.context)]
    return Material(sorted(name.replace("-", " ").replace("_", " ") for name in goods), tables)


def drawn(kind: str, given: Material, rng: random.Random) -> Rendered | None:
    """A page of one of KINDS; None where the table that was drawn for it does not fit."""
    if kind == "receipt":
        return receipt(given.goods, rng)
    if kind == "form" and rng.random() < 0.5:
        return form((), "", rng)
    table = rng.choice(given.tables)
    if kind == "form":
        row = rng.choice(table.rows)
        fields = [(name, cell) for name, cell in zip(table.header, row, strict=True) if has_value(cell) and len(cell) <= CELL_LENGTH]
        return form(fields, table.title, rng) if len(fields) > 2 else None
    keys = key_columns(table)
    if not keys:
        return None
    first = rng.randint(0, max(0, len(table.rows) - 3))
    rows = table.rows[first : first + rng.randint(3, 9)]
    if kind == "table":
        columns = sorted({keys[0], *rng.sample(range(len(table.header)), min(len(table.header), rng.randint(2, 5)))})
        cells = [[row[at] for at in columns] for row in rows]
        header = [table.header[at] for at in columns]
        fits = max(len(cell) for row in (header, *cells) for cell in row) <= CELL_LENGTH
        return grid(table.title, header, cells, columns.index(keys[0]), rng) if fits else None
    counted = [at for at in range(len(table.header)) if at != keys[0] and all(_numeric(row[at]) for row in rows)]
    short = all(len(row[keys[0]]) <= SHORT for row in rows)
    if not counted or not short:
        return None
    column = rng.choice(counted)
    points = [(row[keys[0]], row[column]) for row in rows]
    return chart(table.title, table.header[column], table.header[keys[0]], points, rng)


def _numeric(cell: str) -> bool:
    return cell.replace(",", "").strip("$£€%").replace(".", "", 1).isdigit()
