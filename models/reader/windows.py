"""Passages cut into windows that one sequence has room for. Imports no torch."""

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

STRIDE = WINDOW // 2  # a passage longer than WINDOW is read in windows that begin so many tokens apart


@dataclass(frozen=True, slots=True)
class Passage:
    """title: whatever tells what the text is about; it is read, and no answer stands in it. boxes: of the words of a text that stands on a page; picture: what they stand on,
    without which no picture is seen.
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
    """The base's own, neither cutting nor padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base_encoder.folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
    return tokenizer.encode_batch([base_encoder.encodable(text) for text in texts], add_special_tokens=False)


def cut(pairs: Sequence[tuple[str, Passage]], tokenizer: Tokenizer) -> list[Cut]:
    """The windows of each passage under its question, in order; a passage without a token has none, but for a picture's."""
    asked, titles, contexts = (
        tokens(tokenizer, texts) for texts in ([question for question, _ in pairs], [one.title for _, one in pairs], [one.text for _, one in pairs])
    )
    made = []
    for i, context in enumerate(contexts):
        grid = coordinates(base_encoder.encodable(pairs[i][1].text), context.offsets, pairs[i][1].boxes)
        picture = pairs[i][1].picture
        for first in starts(len(context.ids)) or [0] * (picture is not None):
            made.append(Cut(i, context.offsets[first : first + WINDOW], replace(window(asked[i].ids, titles[i].ids, context.ids, grid, first), picture=picture)))
    return made


def window(question: Sequence[int], title: Sequence[int], context: Sequence[int], grid: np.ndarray, first: int) -> Parts:
    """The part of a context that begins at token `first`; where that is below the header of a table, under this header.

    grid: (tokens of the context, PLACES), models.reader.coordinates.
    """
    above = np.empty(0, np.int64)
    if len(grid) and grid[first, 0] > HEADER:
        tops = np.flatnonzero(grid[:first, 0] == HEADER)
        outside = np.flatnonzero(grid[:first, 0] == 0)
        above = tops[tops > max(outside, default=-1)][:TITLE]
    heading = [*(context[at] for at in above), *title][:TITLE]
    return Parts(question[:QUESTION], heading, context[first : first + WINDOW], grid[above], grid[first : first + WINDOW])


def starts(length: int, window: int = WINDOW) -> list[int]:
    """Where the windows of a context of so many tokens begin, each half a window after the one before; the last one ends with the context."""
    if length <= window:
        return [0] if length else []
    return [*range(0, length - window, window // 2), length - window]
