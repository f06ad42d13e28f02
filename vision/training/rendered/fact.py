"""The facts of a synthetic page: what it states, where, and how people ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from vision.training.rendered.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of a page. Runs are numbers of vision.training.rendered.sheet.Sheet.runs."""

    asked: str  # name of the field: "total", or a column of a table
    value: int  # the run that holds the value
    own: tuple[int, ...]  # the runs to leave out for a page without this fact
    keys: tuple[tuple[str, str], ...] = ()  # (column, text) that identify it among values of one name
    questions: tuple[str, ...] = ()  # that it answers; empty if `asked` and `keys` make the question


@dataclass(frozen=True, slots=True)
class Rendered:
    """A synthetic page and its facts."""

    title: str  # what its file might be called
    sheet: Sheet
    facts: tuple[Fact, ...]
