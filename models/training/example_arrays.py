"""Training examples as memory-mapped token arrays: one example per question and passage window.

In: questions with their passages. Out, in a folder: `tokens.u16`, the tokens of all distinct texts one after the other;
`grid.u8`, where each token stands on its page or in its table (models.reader.coordinates); `examples.npy` and
`held.npy`, rows of EXAMPLE that point into these; `meta.json`. Knows nothing of which questions are chosen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.common import base_encoder
from models.reader import coordinates
from models.reader.sequences import QUESTION, TITLE, WINDOW
from models.reader.windows import open_tokenizer
from models.training.image_questions import PictureQuestion
from models.training.question_sets import QaRow, WordBox
from models.training.training_sets import SETS, Candidate

EXAMPLE = np.dtype([
    ("group", "u4"),  # the number of its question, whose examples follow each other
    ("set", "u1"),  # place in SETS, len(SETS) = another
    ("question", "u8"), ("question_length", "u2"),  # first token among all, and how many
    ("title", "u8"), ("title_length", "u2"),
    ("context", "u8"), ("context_length", "u2"),
    ("start", "i2"), ("end", "i2"),  # first and last answer token within the context; -1 = none is known
    ("answerable", "i1"), ("evidence", "i1"),  # 1, 0; evidence -1 = not judged
    ("picture", "i4"),  # its number among the patches, -1 = none
])  # fmt: skip
EMPTY_WINDOWS = 0.5  # share of long contexts from which a window without the answer is taken too
EMPTY_WINDOW_TRIES = 8  # random places tried for such a window

Offsets = Sequence[tuple[int, int]]  # the first character of each token, and the one after its last


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a context, in tokens, with its labels as in EXAMPLE."""

    first: int
    length: int
    start: int = -1
    end: int = -1
    answerable: bool = False
    evidence: int = 0


class TokenArrays:
    """Texts as tokens in one growing array; each distinct text is stored once."""

    def __init__(self) -> None:
        self._tokenizer = open_tokenizer()
        self._places: dict[tuple[str, tuple[WordBox, ...]], tuple[int, Offsets]] = {}
        self._tokens: list[np.ndarray] = [np.empty(0, np.uint16)]
        self._grid: list[np.ndarray] = [np.empty((0, coordinates.PLACES), np.uint8)]
        self._length = 0

    def add(self, text: str, boxes: tuple[WordBox, ...] = ()) -> tuple[int, Offsets]:
        """The place of its first token in the array, and the characters of each token.

        boxes: of its words on a page.
        """
        if (text, boxes) not in self._places:
            encodable = base_encoder.encodable(text)
            encoding = self._tokenizer.encode(encodable, add_special_tokens=False)
            self._places[text, boxes] = (self._length, encoding.offsets)
            self._tokens.append(np.array(encoding.ids, np.uint16))
            self._grid.append(coordinates.coordinates(encodable, encoding.offsets, boxes))
            self._length += len(encoding.ids)
        return self._places[text, boxes]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All tokens, (n,) uint16, and where each stands, (n, PLACES) uint8."""
        return np.concatenate(self._tokens), np.concatenate(self._grid)


def token_span(offsets: Offsets, start: int, end: int) -> tuple[int, int] | None:
    """The first and last token that touch the characters start..end; None where no token does."""
    touched = [i for i, (left, right) in enumerate(offsets) if left < end and right > start]
    return (touched[0], touched[-1]) if touched else None


def windows(length: int, span: tuple[int, int] | None, rng: random.Random) -> Iterator[tuple[int, int]]:
    """(first token, tokens) of the parts of a context that become examples: one with the span, perhaps one without.

    A context of at most WINDOW tokens is taken whole. Without a span its first WINDOW tokens are taken. A span longer
    than WINDOW fills its window.
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
        tried = [rng.randint(0, length - WINDOW) for _ in range(EMPTY_WINDOW_TRIES)]
        empty = [at for at in tried if at > last or at + WINDOW <= first]
        if empty:
            yield empty[0], WINDOW


class ExampleWriter:
    """Collects the examples of questions, those held out apart, and writes them with their tokens."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._texts = TokenArrays()
        self._rows: dict[str, list[tuple]] = {"examples": [], "held": []}
        self._group = 0

    def __len__(self) -> int:
        """The examples to train on so far, without those held out."""
        return len(self._rows["examples"])

    def add(self, row: QaRow, *, spans: bool, held_out: bool, title: str) -> None:
        """The windows of a question's own context under `title`. spans: whether its answer is learned word for word."""
        self._group += 1
        at, offsets = self._texts.add(row.context, row.boxes)
        answer = row.span if spans else None
        span = token_span(offsets, answer.start, answer.start + len(answer.text)) if answer else None
        for first, length in windows(len(offsets), span, self.rng):
            end = first + length
            answerable = not row.unanswerable and (span is None or (span[0] < end and first <= span[1]))
            evidence = -1 if row.unanswerable else int(answerable)
            inside = span is not None and first <= span[0] and span[1] < end
            marked = (span[0] - first, span[1] - first) if inside else (-1, -1)
            self._write(row, title, at, Window(first, length, *marked, answerable, evidence), held_out=held_out)

    def add_negative(self, row: QaRow, candidate: Candidate, *, held_out: bool) -> None:
        """A passage or picture that does not answer the question added last."""
        at, offsets = self._texts.add(candidate.text, candidate.boxes)
        window = Window(0, min(len(offsets), WINDOW))
        self._write(row, candidate.title, at, window, held_out=held_out, picture=candidate.picture)

    def add_pictures(self, row: PictureQuestion) -> None:
        """A question for a picture, which has no answer in words, with each of its candidate pictures."""
        self._group += 1
        for one in row.shown:
            at, offsets = self._texts.add(one.text)
            window = Window(0, min(len(offsets), WINDOW), answerable=one.shows, evidence=int(one.shows))
            self._write(row, one.title, at, window, held_out=False, picture=one.picture)

    def _write(
        self,
        row: QaRow | PictureQuestion,
        title: str,
        context: int,
        window: Window,
        *,
        held_out: bool,
        picture: int = -1,
    ) -> None:
        """context: the place of the first token of the whole context."""
        question, question_tokens = self._texts.add(row.question)
        heading, title_tokens = self._texts.add(title)
        if not question_tokens or not (window.length or picture >= 0):
            return
        example = (
            self._group, SETS.index(row.source) if row.source in SETS else len(SETS),
            question, min(len(question_tokens), QUESTION), heading, min(len(title_tokens), TITLE),
            context + window.first, window.length, window.start, window.end,
            window.answerable, window.evidence, picture,
        )  # fmt: skip
        self._rows["held" if held_out else "examples"].append(example)

    def save(self, out: Path, about: dict[str, Any]) -> None:
        """about: what else `meta.json` says."""
        out.mkdir(parents=True, exist_ok=True)
        for name, array in zip(("tokens.u16", "grid.u8"), self._texts.arrays(), strict=True):
            array.tofile(out / name)
        for split, rows in self._rows.items():
            np.save(out / f"{split}.npy", np.array(rows, EXAMPLE))
        meta = {"base": base_encoder.identity(), **about, "held": len(self._rows["held"])}
        (out / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
