"""JSON Lines -> a document for every line, streamed.

Lines like BEIR's `{"_id", "title", "text"}` become documents with that key, title and exactly that text; any other
line becomes "key: value" lines under its line number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexing.loaders.data.json_document import lines_of
from indexing.loaders.decode import MB, check_size, clean, detect_encoding, head
from indexing.loaders.loader import Alive
from indexing.loaders.text import spans
from indexing.types import Document, LoadError

LIMIT_MB = 20_000
MAX_LINE = 50 * MB
ALIVE_EVERY = 1000
HOPELESS = 100  # bad lines without a good one before them: this is no JSON Lines file


def load(path: Path, alive: Alive) -> Iterator[Document]:
    check_size(path, LIMIT_MB, "JSON lines")
    encoding = detect_encoding(head(path))
    good, bad, first = 0, 0, None
    with path.open(encoding=encoding, errors="replace", newline="\n") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), 1):
            if number % ALIVE_EVERY == 0:
                alive()
            if len(line) == MAX_LINE:
                raise LoadError(f"line {number} is over the limit of {MAX_LINE // MB} MB")
            if line.isspace():
                continue
            try:
                record = _parse(line, number)
            except LoadError as error:
                bad, first = bad + 1, first or error
                if not good and bad == HOPELESS:
                    raise
                continue
            good += 1
            yield _document(record, number)
    if first:
        rest = f", nor are {bad - 1} more" if bad > 1 else ""
        raise LoadError(f"{first}{rest}" + ("; the other lines are indexed" if good else "")) from first


def _parse(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:  # a JSONDecodeError, or a number of more digits than Python converts
        raise LoadError(f"line {number} is not JSON: {error}") from error
    except RecursionError as error:
        raise LoadError(f"line {number} is not JSON: nested too deeply") from error


def _document(record: Any, number: int) -> Document:
    if isinstance(record, dict) and "_id" in record and isinstance(record.get("text"), str):
        text, key, title = clean(record["text"]), clean(str(record["_id"])), clean(str(record.get("title") or ""))
        return Document(text=text, blocks=spans.prose(text), title=title, key=key, format="jsonl")
    text = clean("\n".join(lines_of(record)))
    return Document(text=text, blocks=spans.prose(text), key=str(number), format="jsonl")
