"""Question sets to token arrays: `python -m models.training.prepare_data DATA OUT`.

In: a data folder with question sets and prose (models.training.training_sets), and what rag.training made of it. Out:
the arrays of models.training.example_arrays, with `patches.f16` of pictures. Each question gets its own passage and, by
chance, negatives: a passage that a retriever found, a random one, a page, a picture, or a near miss of the question
itself. Held-out contexts are kept out of training, also as negatives, and written to `held.npy` for calibration.
Deterministic with a seed.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from models.common import command_line
from models.common.errors import DataError
from models.training.example_arrays import ExampleWriter
from models.training.excerpts import excerpt, openings
from models.training.image_questions import PATCH_FILE, PictureQuestion, read_picture_questions
from models.training.near_misses import names, near_miss
from models.training.question_sets import QaRow, read_qa
from models.training.training_sets import GENERATED, MIXTURE, SETS, Candidate, is_held_out, read_sets

# shares of questions, chosen by hand
NEGATIVES = 0.8  # of those with candidates: one of these is added
RANDOM_PASSAGES = 0.15  # of those without: a random passage of their set is added
ON_PAGES = 0.08  # of those of collected sets: a page or a picture is added, so that these are not always evidence
NEAR_MISSES = 0.3  # their near miss is added, where one can be made
WITH_OPENING = 0.25  # their passage is read under the opening of its document
PICTURES = 16000  # questions for pictures, at most


def prepare(
    data: Path,
    out: Path,
    negatives: Path | None = None,
    pages: Path | None = None,
    pictures: Path | None = None,
    *,
    seed: int = 0,
    limit: int | None = None,
) -> dict[str, int]:
    """Write the arrays; returns how many examples each set gave. limit: questions of a set at most, for a quick try.

    Sets that are missing are left out. Raises DataError where all are, or a file cannot be read.
    """
    writer = ExampleWriter(seed)
    page_rows = read_qa(pages) if pages else []
    picture_rows = [row for row in read_picture_questions(pictures) if row.split == "train"] if pictures else []
    writer.rng.shuffle(picture_rows)
    elsewhere = _page_candidates(page_rows, picture_rows)
    counts = {}
    for name, rows, candidates in read_sets(data, negatives, page_rows, seed):
        before = len(writer)
        _add_set(writer, name, rows, candidates, limit, [] if name in GENERATED else elsewhere)
        counts[name] = len(writer) - before
    if not counts:
        raise DataError(f"{data / 'qa' / 'train'} has none of the sets {', '.join(SETS)} (.jsonl.gz)")
    if pictures:
        before = len(writer)
        for row in picture_rows[: _at_most(PICTURES, limit)]:
            writer.add_pictures(row)
        counts["pictures"] = len(writer) - before
    writer.save(out, {"seed": seed, "sets": list(SETS), "examples": counts})
    if pictures:
        shutil.copyfile(pictures / PATCH_FILE, out / PATCH_FILE)
    return counts


def prepare_rows(rows: list[QaRow], out: Path, seed: int = 0) -> None:
    """Write the arrays of one set of questions, whatever its source, with random passages and near misses added."""
    writer = ExampleWriter(seed)
    _add_set(writer, "", rows, [[] for _ in rows], None, [])
    writer.save(out, {"seed": seed})


def _page_candidates(pages: list[QaRow], pictures: list[PictureQuestion]) -> list[Candidate]:
    """Pages that are not held out and as many pictures, or all pictures without pages."""
    found = [Candidate(row.context, row.title, row.boxes) for row in pages if not is_held_out(row.context)]
    first = [row.shown[0] for row in pictures[: len(found) or None] if row.shown]
    return found + [Candidate(one.text, one.title, picture=one.picture) for one in first]


def _at_most(count: int, limit: int | None) -> int:
    return count if limit is None else min(count, limit)


def _add_set(
    writer: ExampleWriter,
    name: str,
    rows: list[QaRow],
    candidates: Sequence[list[Candidate]],
    limit: int | None,
    elsewhere: list[Candidate],
) -> None:
    """The questions of a set, each perhaps with negatives. elsewhere: pages and pictures of other sets."""
    held_out = {row.context: is_held_out(row.context) for row in rows}
    held_out_text = "\n\n".join(context for context in held_out if held_out[context])
    replacements = names(rows) if name not in GENERATED else []
    above = openings(row for row in rows if not held_out[row.context])
    most, spans = MIXTURE.get(name, (len(rows), True))
    picked = list(range(len(rows)))
    rng = writer.rng
    rng.shuffle(picked)
    for i in tqdm(picked[: _at_most(most, limit)], desc=name, disable=None):
        row, held = rows[i], held_out[rows[i].context]
        opened, opening = above.get(row.title, ("", ""))
        title = row.title
        if opening and opened != row.context and rng.random() < WITH_OPENING:
            title = f"{row.title} - {opening}"
        part = excerpt(row, rng) if spans else row
        writer.add(part, spans=spans, held_out=held, title=title)
        found = [one for one in candidates[i] if held or one.text not in held_out_text]
        if found and rng.random() < NEGATIVES:
            writer.add_negative(row, rng.choice(found), held_out=held)
        elif not found and name not in GENERATED and rng.random() < RANDOM_PASSAGES:
            other = rng.choice(rows)
            if other.context != row.context and (held or not held_out[other.context]):
                writer.add_negative(row, Candidate(other.context, other.title, other.boxes), held_out=held)
        if elsewhere and not held and rng.random() < ON_PAGES:
            writer.add_negative(row, rng.choice(elsewhere), held_out=False)
        if replacements and spans and rng.random() < NEAR_MISSES and (changed := near_miss(part, replacements, rng)):
            writer.add(changed, spans=spans, held_out=held, title=title)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.prepare_data", description="Question sets to memory-mapped token arrays."
    )
    parser.add_argument("data", type=Path, help="a folder with qa/train")
    parser.add_argument("out", type=Path)
    parser.add_argument("--negatives", type=Path, help="what python -m rag.training.hard_negatives wrote")
    parser.add_argument("--pages", type=Path, help="what python -m rag.training.make_pages wrote")
    parser.add_argument("--pictures", type=Path, help="what python -m rag.training.make_pictures wrote")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="questions of a set at most")
    options = parser.parse_args()
    counts = prepare(
        options.data, options.out, options.negatives, options.pages, options.pictures,
        seed=options.seed, limit=options.limit,
    )  # fmt: skip
    print(f"{sum(counts.values())} examples: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
