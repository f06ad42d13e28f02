"""Plain text and source code: Document.text is the decoded file, blocks are spans over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from indexing.loaders.decode import read_text
from indexing.loaders.loader import Alive
from indexing.loaders.text import spans
from indexing.types import Document


def load_text(path: Path, alive: Alive) -> Iterator[Document]:
    text = read_text(path)
    yield Document(text=text, blocks=spans.prose(text), format="text")


def load_code(path: Path, alive: Alive) -> Iterator[Document]:
    text = read_text(path)
    yield Document(text=text, blocks=spans.code(text), format="code", title=path.name)
