"""The table of loaders' shape. Knows no loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from indexing.types import Document

Alive = Callable[[], None]  # called now and then during long work, so that the caller can tell slow from stuck


@dataclass(frozen=True, slots=True)
class Loader:
    """`load(path, alive)` yields the documents of a file. It imports its library when called, not before."""

    name: str
    suffixes: tuple[str, ...]
    load: Callable[[Path, Alive], Iterator[Document]]
