"""Restricts a search to documents of some paths, types and dates. Out: SQL for the ids of their chunks."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from models.common.errors import FolioError

HELP = "path=GLOB, type=FORMAT_OR_SUFFIX, date>=YYYY-MM-DD, date<=YYYY-MM-DD (the file's own date); repeat to narrow"
_FORM = re.compile(r"\s*(path|type|date)\s*(>=|<=|=)\s*(.+?)\s*")


class FilterError(FolioError):
    """A filter that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Filter:
    """All that is given must hold."""

    paths: tuple[str, ...] = ()  # globs over document or file names
    types: tuple[str, ...] = ()  # formats or suffixes, of which one must fit
    since: float | None = None  # the file's modification time, seconds since 1970
    before: float | None = None

    @classmethod
    def parse(cls, expressions: Sequence[str]) -> Filter | None:
        """The filter of some `--filter` expressions; None for none. Raises FilterError."""
        if not expressions:
            return None
        paths, types, since, before = [], [], [], []
        for expression in expressions:
            match = _FORM.fullmatch(expression)
            if not match or (match[1] != "date" and match[2] != "="):
                raise FilterError(f"cannot read the filter {expression!r}: give {HELP}")
            field, operator, value = match.groups()
            if field == "path":
                paths.append(value)
            elif field == "type":
                types.append(value.lower().lstrip("."))
            else:
                first, last = _days(value)
                if operator in (">=", "="):
                    since.append(first)
                if operator in ("<=", "="):
                    before.append(last)
        return cls(tuple(paths), tuple(types), max(since, default=None), min(before, default=None))

    def sql(self) -> tuple[str, list[object]]:
        """A query for the ids of the chunks that it lets through, with its parameters."""
        conditions, values = [], []
        for glob in self.paths:
            conditions.append("(documents.name GLOB ? OR files.name GLOB ?)")
            values += [glob, glob]
        if self.types:
            either = "documents.format = ? OR lower(files.name) GLOB ?"
            conditions.append(f"({' OR '.join([either] * len(self.types))})")
            values += [part for type in self.types for part in (type, f"*.{type}")]
        if self.since is not None:
            conditions.append("files.modified >= ?")
            values.append(self.since)
        if self.before is not None:
            conditions.append("files.modified < ?")
            values.append(self.before)
        joins = "chunks JOIN documents ON documents.id = chunks.document JOIN files ON files.id = documents.file"
        return f"SELECT chunks.id FROM {joins} WHERE {' AND '.join(conditions)}", values


def _days(value: str) -> tuple[float, float]:
    """The first second of a day, month or year, and the first second after it."""
    try:
        if value.startswith("9999"):  # the last year that Python knows
            return _midnight(date.fromisoformat(f"{value}-01-01"[:10])), math.inf
        if re.fullmatch(r"\d{4}", value):
            first, after = date(int(value), 1, 1), date(int(value) + 1, 1, 1)
        elif re.fullmatch(r"\d{4}-\d{2}", value):
            first = date.fromisoformat(f"{value}-01")
            after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            first = date.fromisoformat(value)
            after = first + timedelta(days=1)
        return _midnight(first), _midnight(after)
    except (ValueError, OverflowError, OSError) as error:
        raise FilterError(f"cannot read the date {value!r}: give YYYY, YYYY-MM or YYYY-MM-DD") from error


def _midnight(day: date) -> float:
    """Its first second in local time, in seconds since 1970."""
    return datetime.combine(day, datetime.min.time()).timestamp()
