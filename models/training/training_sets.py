"""Reads the question sets that a reader is trained on: how many questions of each, and which contexts are held out.

In: a data folder with `qa/train/*.jsonl.gz` (models.training.question_sets), perhaps `text/` with prose and a folder of
hard negatives. Out: questions, each with candidate passages that do not answer it. Knows nothing of tokens.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from models.common import base_encoder
from models.common.errors import DataError
from models.training.question_sets import QaRow, WordBox, read_qa
from models.training.recurring_spans import recurring
from models.training.table_contexts import read_tables
from models.training.table_questions import lookups

# questions taken from each set at most, and whether its answers are spans to be learned word for word. Chosen by hand:
# large sets are cut so that small ones still count
MIXTURE = {
    "squad2_dev": (20000, True), "squad11_dev_rest": (20000, True), "qed_nq": (20000, True),
    "fairytaleqa": (4500, True), "policyqa": (2000, True), "quac_1k": (700, True), "doc2dial_val": (900, True),
    "covidqa": (1200, True),
    "qamr": (3000, True), "qasrl_gs": (1000, True), "wtq": (4000, True), "tatqa": (2000, True), "fetaqa": (1000, False),
    "tabfact": (800, False), "boolq_dev": (1200, False), "condaqa": (500, False), "pubmedqa": (500, False),
    "medquad": (800, False), "qmsum_spans": (300, False), "lookups": (10000, True), "recurring": (5000, True),
    "rendered": (12000, True),
}  # fmt: skip
SETS = tuple(MIXTURE)
TABLE_SETS = ("wtq", "tabfact", "fetaqa")  # the sets whose tables the questions of `lookups` are generated from
GENERATED = ("lookups", "recurring", "rendered")  # generated sets: they have their own unanswerable questions
HELD_OUT_EVERY = 25  # one context of so many is held out for calibration


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage, or a picture with its surrounding words, that does not answer a question.

    boxes: of the words of a passage that was read off a page. picture: its number among the patches, -1 = none.
    """

    text: str
    title: str
    boxes: tuple[WordBox, ...] = ()
    picture: int = -1


def is_held_out(context: str) -> bool:
    """Whether a context is kept out of training, by its hash: the same in every set and with every seed."""
    digest = hashlib.blake2b(base_encoder.encodable(context).encode(), digest_size=4).digest()
    return int.from_bytes(digest) % HELD_OUT_EVERY == 0


def read_negatives(path: Path) -> list[list[Candidate]]:
    """The candidates of each row of a set, as rag.training.hard_negatives wrote them. Raises DataError."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            records = [json.loads(line)["candidates"] for line in file]
        return [[Candidate(one["text"], one["title"]) for one in candidates] for candidates in records]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}): run python -m rag.training.hard_negatives again") from error


def read_sets(
    data: Path, negatives: Path | None, pages: list[QaRow], seed: int
) -> Iterator[tuple[str, list[QaRow], list[list[Candidate]]]]:
    """(name, questions, candidates of each) of the sets in `data`, then of the generated sets.

    Missing sets are left out. pages: the questions of the set `rendered`. Raises DataError for a file that cannot be
    read.
    """
    files = {name: data / "qa" / "train" / f"{name}.jsonl.gz" for name in MIXTURE}
    files = {name: path for name, path in files.items() if path.exists()}
    for name, path in files.items():
        rows = [replace(row, source=name) for row in read_qa(path)]
        mined = negatives / "train" / path.name if negatives else None
        candidates = read_negatives(mined) if mined and mined.exists() else [[] for _ in rows]
        if len(candidates) != len(rows):
            remedy = "run python -m rag.training.hard_negatives again"
            raise DataError(f"{mined} has {len(candidates)} lines, its set {len(rows)}: {remedy}")
        yield name, rows, candidates
    generated = {"lookups": _lookups([files[name] for name in TABLE_SETS if name in files], seed)}
    prose = data / "text"
    generated["recurring"] = recurring(prose, MIXTURE["recurring"][0], seed) if prose.exists() else []
    generated["rendered"] = pages
    for name, rows in generated.items():
        if rows:
            yield name, rows, [[] for _ in rows]


def _lookups(files: list[Path], seed: int) -> list[QaRow]:
    """Questions generated from the tables of these files that are not held out."""
    tables = [table for table in read_tables(files) if not is_held_out(table.context)]
    return lookups(tables, MIXTURE["lookups"][0], seed) if tables else []
