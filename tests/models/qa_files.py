"""Small question sets, written to a test's folder."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def row(question: str, context: str, answer: str | None = None, **more: Any) -> dict[str, Any]:
    """One line of a question set. answer: what the context says word for word; None = it does not answer."""
    answers = [] if answer is None else [{"text": answer, "start": context.index(answer)}]
    return {"question": question, "context": context, "answers": answers, "unanswerable": answer is None, **more}


def lot_rows(count: int) -> list[dict[str, Any]]:
    """Questions for the grade of a lot, each with a context of its own that says it in one word."""
    grades = [f"{'ABC'[i % 3]}{i}" for i in range(count)]
    return [
        row(f"Which grade has lot {i}?", f"Lot {i} was sampled at noon and found to be of grade {grade}.", grade)
        for i, grade in enumerate(grades)
    ]


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path
