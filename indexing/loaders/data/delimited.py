"""CSV and TSV, streamed: a header and rows. A long file is read as several documents of PART_ROWS rows each."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import check_size, detect_encoding, head
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError

LIMIT_MB = 20_000
PART_ROWS = 20_000  # of a document
PART_CHARACTERS = 16 << 20  # of a document
FIELD_LIMIT = 16 << 20  # characters in one field
MAX_COLUMNS = 4096
SAMPLE = 256 << 10  # bytes by which encoding and delimiter are found


def load(path: Path, alive: Alive) -> Iterator[Document]:
    """One document without a key, or, beyond PART_ROWS rows, several keyed "rows 1-20000" with the same header."""
    check_size(path, LIMIT_MB, "table")
    start = head(path, SAMPLE)
    encoding = detect_encoding(start)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        rows = _rows(file, _dialect(start.decode(encoding, "replace"), path.suffix.lower()))
        first = next(rows, None)
        if first is None:
            return
        titled = not all(_is_number(cell) for cell in first if cell.strip())
        parts = _parts(rows if titled else chain([first], rows))
        part, done = next(parts, []), 0
        while True:
            following = next(parts, None)
            builder = DocumentBuilder()
            if titled:
                builder.header(first)
            for row in part:
                builder.row(row)
            alive()
            key = f"rows {done + 1}-{done + len(part)}" if done or following else ""
            yield builder.build(key=key, format="csv")
            if following is None:
                return
            done, part = done + len(part), following


def _parts(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    part, size = [], 0
    for row in rows:
        part.append(row)
        size += sum(map(len, row))
        if len(part) == PART_ROWS or size > PART_CHARACTERS:
            yield part
            part, size = [], 0
    if part:
        yield part


def _rows(file: Iterator[str], dialect: type[csv.Dialect] | csv.Dialect) -> Iterator[list[str]]:
    csv.field_size_limit(FIELD_LIMIT)  # of the whole process: the module has no other
    try:
        for row in csv.reader(file, dialect):
            if any(cell.strip() for cell in row):
                if len(row) > MAX_COLUMNS:
                    raise LoadError(f"a row of {len(row)} columns, over the limit of {MAX_COLUMNS}")
                yield row
    except csv.Error as error:
        raise LoadError(f"not a readable table: {error}") from error


def _dialect(sample: str, suffix: str) -> csv.Dialect | type[csv.Dialect]:
    """A tab for .tsv, else the delimiter that csv.Sniffer finds, else the most frequent one.

    The Sniffer's guesses at quoting are not used: they are often wrong on cells of prose, and quotes inside quoted
    fields are nearly always doubled.
    """
    lines = sample.splitlines()[:-1][:200] or sample.splitlines()
    found = "\t" if suffix in (".tsv", ".tab") else ","
    if not (suffix == ".tsv" and any("\t" in line for line in lines)):
        try:
            found = csv.Sniffer().sniff("\n".join(lines), delimiters=",;\t|").delimiter
        except csv.Error:
            found = max(found, ";", "\t", "|", key=lambda mark: sum(mark in line for line in lines))

    class Found(csv.excel):
        delimiter = found

    return Found


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True
