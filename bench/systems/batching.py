"""Dynamic batching of concurrent questions about the text files of data/sample, against one question at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.systems.common import Row
from bench.together import compared, sample_questions
from indexing.build.run import build

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
QUESTIONS = 16


def measure(_: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        build(sorted([*SAMPLE.rglob("*.md"), *SAMPLE.rglob("*.txt")]), Path(folder) / "index")
        for count, way, figures in compared(Path(folder) / "index", sample_questions()[:QUESTIONS], 1):
            yield Row("dynamic batching", f"{count} in flight, {way}", figures)
