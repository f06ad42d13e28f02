"""Passages, tokenized and cut into windows that fit one sequence. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.common import base_encoder
from models.reader.coordinates import HEADER, WordBox, coordinates
from models.reader.image_patches import Picture
from models.reader.sequences import QUESTION, TITLE, WINDOW, Parts

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class Passage:
    """title: says what the text is about; it is read, but no answer is taken from it.

    boxes: of the words of a text that is on a page. picture: of that page, where its pixels are to be read too.
    """

    text: str
    title: str = ""
    boxes: tuple[WordBox, ...] = ()
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """A window of passage number `passage`; offsets: the characters of each token of its context."""

    passage: int
    offsets: Sequence[tuple[int, int]]
    parts: Parts


def open_tokenizer() -> Tokenizer:
    """The base encoder's tokenizer, which neither truncates nor pads."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base_encoder.folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
    return tokenizer.encode_batch([base_encoder.encodable(text) for text in texts], add_special_tokens=False)


def cut(pairs: Sequence[tuple[str, Passage]], tokenizer: Tokenizer) -> list[Cut]:
    """The windows of each passage with its question, in order; one without a token or a picture has none."""
    questions = tokens(tokenizer, [question for question, _ in pairs])
    titles = tokens(tokenizer, [passage.title for _, passage in pairs])
    contexts = tokens(tokenizer, [passage.text for _, passage in pairs])
    made = []
    for i, (_, passage) in enumerate(pairs):
        ids, offsets = contexts[i].ids, contexts[i].offsets
        grid = coordinates(base_encoder.encodable(passage.text), offsets, passage.boxes)
        for first in starts(len(ids)) or [0] * (passage.picture is not None):
            parts = window(questions[i].ids, titles[i].ids, ids, grid, first)
            made.append(Cut(i, offsets[first : first + WINDOW], replace(parts, picture=passage.picture)))
    return made


def window(
    question: Sequence[int], title: Sequence[int], context: Sequence[int], grid: np.ndarray, first: int
) -> Parts:
    """The part of a context that begins at token `first`; of a table's later rows, with its header before the title.

    grid: (tokens of the context, PLACES), models.reader.coordinates.
    """
    above = np.empty(0, np.int64)
    if len(grid) and grid[first, 0] > HEADER:
        tops = np.flatnonzero(grid[:first, 0] == HEADER)
        outside = np.flatnonzero(grid[:first, 0] == 0)
        above = tops[tops > max(outside, default=-1)][:TITLE]
    heading = [*(context[at] for at in above), *title][:TITLE]
    inside = slice(first, first + WINDOW)
    return Parts(question[:QUESTION], heading, context[inside], grid[above], grid[inside])


def starts(length: int, window: int = WINDOW) -> list[int]:
    """Where the windows of a context of so many tokens begin: each half a window after the one before.

    The last one ends with the context.
    """
    if length <= window:
        return [0] if length else []
    return [*range(0, length - window, window // 2), length - window]
