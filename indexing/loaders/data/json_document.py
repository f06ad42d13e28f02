"""JSON -> paragraphs of "path: value" lines, so that every value carries its path.

A container whose lines fit GROUP characters is one paragraph; a larger one is opened. A list of flat objects (records)
thus gives paragraphs of whole records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import read_text
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError

LIMIT_MB = 100
GROUP = 1200  # characters of a paragraph: about 300 tokens, somewhat more than a chunk
MAX_DEPTH = 64  # deeper parts are written as JSON


def load(path: Path, alive: Alive) -> Iterator[Document]:
    text = read_text(path, LIMIT_MB)
    try:
        value = json.loads(text)
    except ValueError as error:  # a JSONDecodeError, or a number of more digits than Python converts
        raise LoadError(f"not readable JSON: {error}") from error
    except RecursionError as error:
        raise LoadError("not readable JSON: nested too deeply") from error
    alive()
    builder = DocumentBuilder()
    for paragraph in _group(value, "", 0):
        builder.paragraph(paragraph)
    title = value.get("title") if isinstance(value, dict) else None
    yield builder.build(title=title if isinstance(title, str) else "", format="json")


def lines_of(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """One "path: value" line per scalar; a list of scalars is one line."""
    if isinstance(value, dict) and value and depth < MAX_DEPTH:
        for key, item in value.items():
            yield from lines_of(item, f"{path}.{key}" if path else key, depth + 1)
    elif _is_nested_list(value) and depth < MAX_DEPTH:
        for number, item in enumerate(value):
            yield from lines_of(item, f"{path}[{number}]", depth + 1)
    else:
        written = ", ".join(map(_scalar, value)) if isinstance(value, list) and depth < MAX_DEPTH else _scalar(value)
        yield f"{path}: {written}" if path else written


def _is_nested_list(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _group(value: Any, path: str, depth: int) -> Iterator[str]:
    """The paragraphs of a value."""
    small, size = [], 0
    for line in lines_of(value, path, depth):
        size += len(line) + 1
        if size > GROUP:
            break
        small.append(line)
    else:
        yield "\n".join(small)
        return
    if isinstance(value, dict) and depth < MAX_DEPTH:
        parts = [(f"{path}.{key}" if path else key, item) for key, item in value.items()]
    elif _is_nested_list(value) and depth < MAX_DEPTH:
        parts = [(f"{path}[{number}]", item) for number, item in enumerate(value)]
    else:
        yield "\n".join(lines_of(value, path, depth))
        return
    loose: list[str] = []  # neighbouring scalars share a paragraph
    for inner, item in parts:
        if isinstance(item, dict | list):
            if loose:
                yield "\n".join(loose)
                loose = []
            yield from _group(item, inner, depth + 1)
        else:
            loose += lines_of(item, inner, depth + 1)
    if loose:
        yield "\n".join(loose)
