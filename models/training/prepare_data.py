"""Question sets to memory-mapped token arrays: `python -m models.training.prepare_data DATA OUT [--negatives DIR] [--pages FILE] [--pictures DIR]`.

OUT gets `tokens.u16`, every text's tokens one after the other; `grid.u8`, where each token stands (models.reader.coordinates);
`examples.npy`, one EXAMPLE per question and passage window; `patches.f16`, of pictures; and `meta.json`. A text stands once, however many examples use it. Contexts whose hash falls into HELD are kept out of
training, also as passages that do not answer, and written to `held.npy`, to calibrate on. Deterministic with a seed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from models.common import base_encoder, command_line
from models.common.errors import DataError
from models.reader import coordinates
from models.reader.sequences import QUESTION, TITLE, WINDOW
from models.reader.windows import open_tokenizer
from models.training.excerpts import excerpt, openings
from models.training.image_questions import PATCH_FILE, Sought, read_shown
from models.training.near_misses import names, twin
from models.training.question_sets import QaRow, WordBox, read_qa
from models.training.recurring_spans import recurring
from models.training.table_contexts import read_tables
from models.training.table_questions import lookups

EXAMPLE = np.dtype([
    ("group", "u4"),  # examples of one question follow each other under one number
    ("set", "u1"), ("question", "u8"), ("question_length", "u2"), ("title", "u8"), ("title_length", "u2"),
    ("context", "u8"), ("context_length", "u2"),
    ("start", "i2"), ("end", "i2"),  # first and last answer token within the context; -1 = none is known
    ("answerable", "i1"), ("evidence", "i1"),  # 1, 0; evidence -1 = not judged
    ("picture", "i4"),  # its number among the patches, -1 = none
])
HELD = 25  # one context of so many is held out for calibration
EMPTY_WINDOWS = 0.5  # share of long contexts from which a window without the answer is taken too
NEGATIVES = 0.8  # share of the questions with candidates that are put to one of these too
ON_PAGES = 0.08  # share of the questions of other sets that are put to a page made by script or to a picture, so that such may bear on nothing
STRANGERS = 0.15  # share of the others that are put to a passage of their set drawn at random
TWINS = 0.3  # share of the questions that are put to their passage again with something changed, where that can be done
OPENED = 0.25  # share of the questions whose passage is read under the opening of its document
TABLES = ("wtq", "tabfact", "fetaqa")  # the sets that look-ups are made of
PICTURES = 16000  # questions for pictures
MADE = ("lookups", "recurring", "rendered")  # sets that are made by script: whether they are answerable is settled

# how many questions are taken from a set, at most; spans = whether its answers are learned word for word
MIXTURE = {
    "squad2_dev": (20000, True), "squad11_dev_rest": (20000, True), "qed_nq": (20000, True), "fairytaleqa": (4500, True),
    "policyqa": (2000, True), "quac_1k": (700, True), "doc2dial_val": (900, True), "covidqa": (1200, True),
    "qamr": (3000, True), "qasrl_gs": (1000, True), "wtq": (4000, True), "tatqa": (2000, True), "fetaqa": (1000, False),
    "tabfact": (800, False), "boolq_dev": (1200, False), "condaqa": (500, False), "pubmedqa": (500, False),
    "medquad": (800, False), "qmsum_spans": (300, False), "lookups": (10000, True), "recurring": (5000, True), "rendered": (12000, True),
}
SETS = tuple(MIXTURE)


class Texts:
    """Texts as tokens in one growing array; each distinct text is kept once."""

    def __init__(self) -> None:
        self._tokenizer = open_tokenizer()
        self._places: dict[tuple[str, tuple[WordBox, ...]], tuple[int, list[tuple[int, int]]]] = {}
        self._tokens: list[np.ndarray] = []
        self._grid: list[np.ndarray] = []
        self._length = 0

    def add(self, text: str, boxes: tuple[WordBox, ...] = ()) -> tuple[int, list[tuple[int, int]]]:
        """(where its tokens begin, the characters of each token)."""
        if (text, boxes) not in self._places:
            encoding = self._tokenizer.encode(base_encoder.encodable(text), add_special_tokens=False)
            self._places[text, boxes] = (self._length, encoding.offsets)
            self._tokens.append(np.array(encoding.ids, np.uint16))
            self._grid.append(coordinates.coordinates(base_encoder.encodable(text), encoding.offsets, boxes))
            self._length += len(encoding.ids)
        return self._places[text, boxes]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All tokens, and where each stands: (n,), (n, PLACES)."""
        return np.concatenate([np.empty(0, np.uint16), *self._tokens]), np.concatenate([np.empty((0, coordinates.PLACES), np.uint8), *self._grid])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage, or a picture with the words that stand with it, that does not answer a question."""

    text: str
    title: str
    boxes: tuple[WordBox, ...] = ()
    picture: int = -1


def is_held(context: str) -> bool:
    return int.from_bytes(hashlib.blake2b(base_encoder.encodable(context).encode(), digest_size=4).digest()) % HELD == 0


def token_span(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """The first and last token that touch the characters start..end; None where no token does."""
    touched = [i for i, (left, right) in enumerate(offsets) if left < end and right > start]
    return (touched[0], touched[-1]) if touched else None


def windows(length: int, span: tuple[int, int] | None, rng: random.Random) -> Iterator[tuple[int, int]]:
    """(first token, tokens) of the parts of a context that become examples: one with the span, perhaps one without.

    A context that fits is taken whole. Without a span the first WINDOW tokens are. Of a span that is longer than WINDOW the
    window holds what it can.
    """
    if length <= WINDOW:
        yield 0, length
        return
    if span is None:
        yield 0, WINDOW
        return
    first, last = span
    low, high = max(0, last + 1 - WINDOW), min(first, length - WINDOW)
    yield (rng.randint(low, high) if low <= high else min(first, length - WINDOW)), WINDOW
    if rng.random() < EMPTY_WINDOWS:
        places = [at for at in (rng.randint(0, length - WINDOW) for _ in range(8)) if at > last or at + WINDOW <= first]
        if places:
            yield places[0], WINDOW


class Writer:
    """Collects EXAMPLE rows."""

    def __init__(self, texts: Texts, seed: int) -> None:
        self.texts, self.rng = texts, random.Random(seed)
        self.rows: dict[str, list[tuple]] = {"examples": [], "held": []}
        self._group = 0

    def add(self, row: QaRow, *, spans: bool, held: bool, above: str = "") -> None:
        """above: the title that the passage is read under, the row's own where it is empty."""
        self._group += 1
        at, offsets = self.texts.add(row.context, row.boxes)
        answer = row.span if spans else None
        span = token_span(offsets, answer.start, answer.start + len(answer.text)) if answer else None
        for first, length in windows(len(offsets), span, self.rng):
            inside = span is not None and first <= span[0] and span[1] < first + length
            answerable = not row.unanswerable and (span is None or (span[0] < first + length and first <= span[1]))
            start, end = (span[0] - first, span[1] - first) if inside else (-1, -1)
            evidence = -1 if row.unanswerable else int(answerable)
            self._write(row, at, above or row.title, first, length, start, end, answerable, evidence, held)

    def add_negative(self, row: QaRow, candidate: Candidate, *, held: bool) -> None:
        """Beside the row that was added last."""
        at, offsets = self.texts.add(candidate.text, candidate.boxes)
        self._write(row, at, candidate.title, 0, min(len(offsets), WINDOW), -1, -1, False, 0, held, candidate.picture)

    def add_shown(self, row: Sought) -> None:
        """A question for a picture, which has no answer in words."""
        self._group += 1
        for one in row.shown:
            at, offsets = self.texts.add(one.text)
            self._write(row, at, one.title, 0, min(len(offsets), WINDOW), -1, -1, one.shows, int(one.shows), False, one.picture)

    def _write(
        self, row: QaRow | Sought, context: int, title: str, first: int, length: int, start: int, end: int, answerable: bool, evidence: int, held: bool, picture: int = -1
    ) -> None:  # fmt: skip
        question, asked = self.texts.add(row.question)
        heading, words = self.texts.add(title)
        if not asked or not (length or picture >= 0):
            return
        self.rows["held" if held else "examples"].append((
            self._group, SETS.index(row.source) if row.source in SETS else len(SETS), question, min(len(asked), QUESTION), heading, min(len(words), TITLE),
            context + first, length, start, end, answerable, evidence, picture,
        ))

    def save(self, out: Path, about: dict[str, Any]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        for name, array in zip(("tokens.u16", "grid.u8"), self.texts.arrays(), strict=True):
            array.tofile(out / name)
        for split, made in self.rows.items():
            np.save(out / f"{split}.npy", np.array(made, EXAMPLE))
        (out / "meta.json").write_text(json.dumps({"base": base_encoder.identity(), **about, "held": len(self.rows["held"])}, indent=2) + "\n")


def read_negatives(path: Path) -> list[list[Candidate]]:
    """One list a row of the set's file, as rag/training/hard_negatives.py writes them. Raises DataError."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [[Candidate(one["text"], one["title"]) for one in json.loads(line)["candidates"]] for line in file]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}): run rag/training/hard_negatives.py again") from error


def prepare(
    data: Path, out: Path, negatives: Path | None = None, pages: Path | None = None, pictures: Path | None = None, *, seed: int = 0, limit: int | None = None
) -> dict[str, int]:  # fmt: skip
    """Write the arrays; returns how many examples each set gave. limit: questions of a set at most (for a quick try).

    Sets that are not there are left out. Raises DataError where none is, or a file cannot be read.
    """
    writer = Writer(Texts(), seed)
    counts = {}
    drawn = read_qa(pages) if pages else []
    sought = [row for row in read_shown(pictures) if row.split == "train"] if pictures else []
    writer.rng.shuffle(sought)
    shown = [Candidate(row.context, row.title, row.boxes) for row in drawn if not is_held(row.context)]
    shown += [Candidate(one.text, one.title, picture=one.picture) for row in sought[: len(shown) or None] for one in row.shown[:1]]
    for name, rows, beside in _sets(data, negatives, drawn, seed):
        before = len(writer.rows["examples"])
        _add_set(writer, name, rows, beside, limit, shown if name not in MADE else [])
        counts[name] = len(writer.rows["examples"]) - before
    if not counts:
        raise DataError(f"{data / 'qa' / 'train'} has none of the sets {', '.join(SETS)} (.jsonl.gz)")
    if pictures:
        before = len(writer.rows["examples"])
        for row in sought[: PICTURES if limit is None else min(PICTURES, limit)]:
            writer.add_shown(row)
        counts["pictures"] = len(writer.rows["examples"]) - before
    writer.save(out, {"seed": seed, "sets": list(SETS), "examples": counts})
    if pictures:
        shutil.copyfile(pictures / PATCH_FILE, out / PATCH_FILE)
    return counts


def prepare_rows(rows: list[QaRow], out: Path, seed: int = 0) -> None:
    """Write the arrays of one set of questions, whatever it is; a passage may come to a question of another row, and near misses are made."""
    writer = Writer(Texts(), seed)
    _add_set(writer, "", rows, [[] for _ in rows], None, [])
    writer.save(out, {"seed": seed})


def _sets(data: Path, negatives: Path | None, drawn: list[QaRow], seed: int) -> Iterator[tuple[str, list[QaRow], list[list[Candidate]]]]:
    """(name, questions, what was found beside each) of the sets that are there, then of those that are made of texts and tables."""
    files = {name: data / "qa" / "train" / f"{name}.jsonl.gz" for name in MIXTURE}
    for name, path in files.items():
        if not path.exists():
            continue
        rows = [replace(row, source=name) for row in read_qa(path)]
        found = negatives / "train" / path.name if negatives else None
        beside = read_negatives(found) if found and found.exists() else [[] for _ in rows]
        if len(beside) != len(rows):
            raise DataError(f"{found} has {len(beside)} lines, its set {len(rows)}: run rag/training/hard_negatives.py again")
        yield name, rows, beside
    tables = [table for table in read_tables([files[name] for name in TABLES if files[name].exists()]) if not is_held(table.context)]
    made = {"lookups": lookups(tables, MIXTURE["lookups"][0], seed) if tables else []}
    made["recurring"] = recurring(data / "text", MIXTURE["recurring"][0], seed) if (data / "text").exists() else []
    made["rendered"] = drawn
    for name, rows in made.items():
        if rows:
            yield name, rows, [[] for _ in rows]


def _add_set(writer: Writer, name: str, rows: list[QaRow], beside: list[list[Candidate]], limit: int | None, pages: list[Candidate]) -> None:
    """The questions of a set, each perhaps beside a passage that does not answer it. No passage that is held out is such a one in training."""
    held = {row.context: is_held(row.context) for row in rows}
    texts = "\n\n".join(context for context in held if held[context])
    strange = names(rows) if name not in MADE else []
    above = openings(row for row in rows if not held[row.context])
    most, spans = MIXTURE.get(name, (len(rows), True))
    picked = list(range(len(rows)))
    writer.rng.shuffle(picked)
    for i in tqdm(picked[: most if limit is None else min(most, limit)], desc=name, disable=None):
        row, mine = rows[i], held[rows[i].context]
        opened, opening = above.get(row.title, ("", ""))
        under = f"{row.title} - {opening}" if opening and opened != row.context and writer.rng.random() < OPENED else ""
        seen = excerpt(row, writer.rng) if spans else row
        writer.add(seen, spans=spans, held=mine, above=under)
        candidates = [one for one in beside[i] if mine or one.text not in texts]
        if candidates and writer.rng.random() < NEGATIVES:
            writer.add_negative(row, writer.rng.choice(candidates), held=mine)
        elif not candidates and name not in MADE and writer.rng.random() < STRANGERS:
            other = writer.rng.choice(rows)
            if other.context != row.context and (mine or not held[other.context]):
                writer.add_negative(row, Candidate(other.context, other.title, other.boxes), held=mine)
        if pages and not mine and writer.rng.random() < ON_PAGES:
            writer.add_negative(row, writer.rng.choice(pages), held=False)
        if strange and spans and writer.rng.random() < TWINS and (near := twin(seen, strange, writer.rng)):
            writer.add(near, spans=spans, held=mine, above=under)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.training.prepare_data", description="Question sets to memory-mapped token arrays.")
    parser.add_argument("data", type=Path, help="a folder with qa/train")
    parser.add_argument("out", type=Path)
    parser.add_argument("--negatives", type=Path, help="what rag/training/hard_negatives.py wrote")
    parser.add_argument("--pages", type=Path, help="what rag/training/make_pages.py wrote")
    parser.add_argument("--pictures", type=Path, help="what rag/training/make_pictures.py wrote")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="questions of a set at most")
    options = parser.parse_args()
    counts = prepare(options.data, options.out, options.negatives, options.pages, options.pictures, seed=options.seed, limit=options.limit)
    print(f"{sum(counts.values())} examples: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
