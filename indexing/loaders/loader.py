"""The type of a loader. Knows no format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from indexing.types import Document

Alive = Callable[[], None]  # called during long work, so that the caller can tell slow from stuck


@dataclass(frozen=True, slots=True)
class Loader:
    """How files of one format are read."""

    name: str  # of the format; becomes Document.format
    suffixes: tuple[str, ...]  # lower case, with the dot
    load: Callable[[Path, Alive], Iterator[Document]]  # raises LoadError; imports its library when called, not before
