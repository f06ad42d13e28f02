"""Reads passages for a question: where the answer stands in each, and how sure that is. Imports no torch.

What computes the logits is handed in: a checkpoint through torch (models.floor) or the shipped int8 graph (models.shipped).
Shapes: B windows, S tokens.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from models import base
from models.ablation import Block, Decoder
from models.flops import Spent
from models.grid import HEADER, Kind, coordinates, kind
from models.layout import QUESTION, TITLE, WINDOW, Parts, Sequences, collate
from models.qa import WordBox

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STRIDE = 128  # a passage longer than WINDOW is read in windows that begin so many tokens apart
LONGEST = 48  # tokens of an answer
BATCH = 16  # windows of like length at once
RIVALS = 2  # windows of other passages that it reads beside


@dataclass(frozen=True, slots=True)
class Passage:
    """title: whatever tells what the text is about; it is read, and no answer stands in it. boxes: of the words of a text that stands on a page."""

    text: str
    title: str = ""
    boxes: tuple[WordBox, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a passage, or a part of it, holds for a question: `text[start:end]` is its best answer.

    span: log-odds of that answer against "not here"; answerable, evidence: logits of the two heads, in the window of the answer; looked: the
    logit by which it was decided to read that window to its end, where that is decided.
    """

    start: int
    end: int
    span: float
    answerable: float
    evidence: float
    looked: float = math.inf


class ReadsPairs(Protocol):
    """What an evaluation asks."""

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]: ...


NOTHING = Finding(0, 0, -math.inf, -math.inf, -math.inf)  # where there was nothing to read


class Computed(NamedTuple):
    """states: what a decoder reads, where one can. looked: logits of a first look; live: whether a row was read to its end, what it holds
    means something only then. spent: on each row, where it is counted.
    """

    spans: np.ndarray  # (B, S, 2): logits of start and end
    judged: np.ndarray  # (B, 2): of answerable and evidence
    states: np.ndarray | None = None  # (B, S, W) float16
    looked: np.ndarray | None = None  # (B,)
    live: np.ndarray | None = None  # (B,) bool
    spent: Sequence[Spent] = ()  # (B,)


Compute = Callable[[Sequences], Computed]


def open_tokenizer() -> Tokenizer:
    """The base's own, neither cutting nor padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base.folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@dataclass(frozen=True, slots=True)
class Window:
    """What was made of a part of a passage; a decoder can read its block."""

    passage: int
    offsets: Sequence[tuple[int, int]]  # characters of each token
    ids: Sequence[int]
    spans: np.ndarray  # (tokens, 2), against "not here"
    judged: np.ndarray  # (2,)
    block: Block | None  # of what was read to its end
    looked: float
    live: bool
    kind: Kind
    spent: Spent


class Reader:
    """Thread-safe where `compute` is. decoder: what tells whether an answer is read in its passage, where there is one."""

    def __init__(self, compute: Compute, decoder: Decoder | None = None) -> None:
        self._compute, self._decoder, self._tokenizer = compute, decoder, open_tokenizer()

    def study(
        self, question: str, passages: Sequence[Passage], units: Sequence[Sequence[tuple[int, int]]]
    ) -> tuple[list[list[Finding]], list[Window]]:
        """For each passage the best answer within each of its units, which are spans of characters: sentences, cells; and what `ablation` needs.

        A unit without a token gives NOTHING, and so does what is not read.
        """
        windows = self._windows([(question, passage) for passage in passages])
        own = by_passage(windows)
        return [[best(own.get(i, []), unit) for unit in mine] for i, mine in enumerate(units)], windows

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]:
        """The best answer to each question anywhere in its own passage."""
        own = by_passage(self._windows(pairs))
        return [best(own.get(i, []), (0, len(passage.text))) for i, (_, passage) in enumerate(pairs)]

    def ablation(self, question: str, windows: Sequence[Window], passage: int, span: tuple[int, int]) -> float | None:
        """By how much the log-probability of an answer, characters `span` of a passage, falls without that passage.

        None without a decoder, or where no window holds the answer.
        """
        mine = [one for one in windows if one.passage == passage]
        answer = next((one.ids[left:right] for one in mine for left, right in [tokens_of(one, span)] if one.offsets[left:right] and one.offsets[right - 1][1] >= span[1]), None)
        if self._decoder is None or not answer or not any(one.block for one in mine):
            return None
        others = sorted((one for one in windows if one.passage != passage), key=lambda one: -one.judged[0])
        [asked] = self._tokens([question])
        chance, without = self._decoder.chances(asked.ids, answer, [one.block for one in (*mine, *others[:RIVALS]) if one.block], passage)
        return chance - without

    def _windows(self, pairs: Sequence[tuple[str, Passage]]) -> list[Window]:
        asked = self._tokens([question for question, _ in pairs])
        titles = self._tokens([passage.title for _, passage in pairs])
        contexts = self._tokens([passage.text for _, passage in pairs])
        grids = [coordinates(base.encodable(passage.text), context.offsets, passage.boxes) for (_, passage), context in zip(pairs, contexts, strict=True)]
        places = [(i, first) for i, context in enumerate(contexts) for first in starts(len(context.ids))]
        parts = [window(asked[i].ids, titles[i].ids, contexts[i].ids, grids[i], first) for i, first in places]
        made: dict[int, Window] = {}
        order = sorted(range(len(parts)), key=lambda at: len(parts[at]))
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            rows = collate([parts[at] for at in chosen])
            computed = self._compute(rows)
            for row, at in enumerate(chosen):
                i, first = places[at]
                block, context = slice(parts[at].block, len(parts[at])), slice(parts[at].place, len(parts[at]) - 1)
                live = computed.live is None or bool(computed.live[row])
                made[at] = Window(
                    i, contexts[i].offsets[first : first + WINDOW], contexts[i].ids[first : first + WINDOW],
                    computed.spans[row, context] - computed.spans[row, 0], computed.judged[row],
                    Block(i, rows.input_ids[row, block], computed.states[row, block]) if live and computed.states is not None else None,
                    math.inf if computed.looked is None else float(computed.looked[row]), live, kind(parts[at].context_grid),
                    computed.spent[row] if computed.spent else Spent(),
                )  # fmt: skip
        return [made[at] for at in range(len(parts))]

    def _tokens(self, texts: list[str]) -> list:
        return self._tokenizer.encode_batch([base.encodable(text) for text in texts], add_special_tokens=False)


def by_passage(windows: Sequence[Window]) -> dict[int, list[Window]]:
    own: dict[int, list[Window]] = {}
    for one in windows:
        own.setdefault(one.passage, []).append(one)
    return own


def best(windows: Sequence[Window], unit: tuple[int, int]) -> Finding:
    """The best answer within a unit of the windows' passage; where two find it alike, the first one's."""
    found = NOTHING
    for one in windows:
        for score, left, right in best_spans(one.spans, *tokens_of(one, unit), 1) if one.live else ():
            if score > found.span:
                found = Finding(one.offsets[left][0], one.offsets[right][1], score, *map(float, one.judged), one.looked)
    return found


def tokens_of(one: Window, unit: tuple[int, int]) -> tuple[int, int]:
    """(first, one past the last) of the tokens that begin within a unit."""
    return bisect_left(one.offsets, unit[0], key=itemgetter(0)), bisect_left(one.offsets, unit[1], key=itemgetter(0))


def window(question: Sequence[int], title: Sequence[int], context: Sequence[int], grid: np.ndarray, first: int) -> Parts:
    """The part of a context that begins at token `first`; where that is below the header of a table, under this header.

    grid: (tokens of the context, PLACES), models.grid.
    """
    above = np.empty(0, np.int64)
    if grid[first, 0] > HEADER:
        tops = np.flatnonzero(grid[:first, 0] == HEADER)
        outside = np.flatnonzero(grid[:first, 0] == 0)
        above = tops[tops > max(outside, default=-1)][:TITLE]
    heading = [*(context[at] for at in above), *title][:TITLE]
    return Parts(question[:QUESTION], heading, context[first : first + WINDOW], grid[above], grid[first : first + WINDOW])


def starts(length: int) -> list[int]:
    """Where the windows of a context of so many tokens begin; the last one ends with the context."""
    if length <= WINDOW:
        return [0] if length else []
    return [*range(0, length - WINDOW, STRIDE), length - WINDOW]


def best_spans(logits: np.ndarray, left: int, right: int, count: int) -> list[tuple[float, int, int]]:
    """The `count` best answers within the tokens left..right-1, best first: (log-odds, first token, last token).

    logits: (tokens, 2), start and end, against those of [CLS]; so that the sum is the log-odds of BERT's start times end probability. An answer
    has at most LONGEST tokens.
    """
    if right <= left:
        return []
    start, end = logits[left:right, 0], logits[left:right, 1]
    reach = np.arange(right - left)[None, :] - np.arange(right - left)[:, None]
    scores = np.where((reach >= 0) & (reach < LONGEST), start[:, None] + end[None, :], -np.inf)  # (n, n)
    order = [int(np.argmax(scores))] if count == 1 else np.argsort(-scores, axis=None, kind="stable")[:count].tolist()
    places = [divmod(at, right - left) for at in order]
    return [(float(scores[place]), left + place[0], left + place[1]) for place in places if np.isfinite(scores[place])]
