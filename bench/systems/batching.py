"""Questions asked at the same time, read together and each by itself, of the texts of data/sample."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.systems.common import Row
from bench.together import about_sample, compared
from indexing.build.run import build

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
ASKED = 16


def measure(_: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        build(sorted([*SAMPLE.rglob("*.md"), *SAMPLE.rglob("*.txt")]), Path(folder) / "index")
        for count, way, figures in compared(Path(folder) / "index", about_sample()[:ASKED], 1):
            yield Row("dynamic batching", f"{count} in flight, {way}", figures)
