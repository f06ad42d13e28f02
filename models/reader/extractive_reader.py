"""Reads passages for a question: where the answer stands in each, and how sure that is. Imports no torch.

What computes the logits is handed in: a checkpoint through torch (models.network.baseline_reader) or the shipped int8 graph (models.reader.shipped_weights).
Shapes: B windows, S tokens.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from models.reader import flops
from models.reader.ablation import Block, Tells
from models.reader.coordinates import Kind, kind
from models.reader.flops import Spent
from models.reader.sequences import Parts, Sequences, collate
from models.reader.windows import Cut, Passage, cut, open_tokenizer, tokens

LONGEST = 48  # tokens of an answer
BATCH = 16  # windows of like length at once
RIVALS = 2  # windows of other passages that it reads beside


@dataclass(frozen=True, slots=True)
class Finding:
    """What a passage, or a part of it, holds for a question: `text[start:end]` is its best answer.

    span: log-odds of that answer against "not here"; answerable, evidence: logits of the two heads, in the window of the answer; margin: log-odds of the answer against the best one elsewhere in that part.
    """

    start: int
    end: int
    span: float
    answerable: float
    evidence: float
    margin: float = math.inf


class ReadsPairs(Protocol):
    """What an evaluation asks."""

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]: ...


NOTHING = Finding(0, 0, -math.inf, -math.inf, -math.inf)  # where there was nothing to read


class Computed(NamedTuple):
    """states: what a decoder reads, where one can. spent: on each row, where it is counted."""

    spans: np.ndarray  # (B, S, 2): logits of start and end
    judged: np.ndarray  # (B, 2): of answerable and evidence
    states: np.ndarray | None = None  # (B, S, W) float16
    spent: Sequence[Spent] = ()  # (B,)


Compute = Callable[[Sequences], Computed]


@runtime_checkable
class Keeps(Protocol):
    """A Compute that can be told before any question what it will read."""

    def keep(self, rows: Sequences) -> None: ...


@dataclass(frozen=True, slots=True)
class Window:
    """What was made of a part of a passage; a decoder can read its block."""

    passage: int
    offsets: Sequence[tuple[int, int]]  # characters of each token
    ids: Sequence[int]
    spans: np.ndarray  # (tokens, 2), against "not here"
    judged: np.ndarray  # (2,)
    block: Block | None
    live: bool  # whether it was read: there was budget for it
    kind: Kind
    spent: Spent


class Reader:
    """Thread-safe where `compute` is. decoder: what tells whether an answer is read in its passage, where there is one."""

    def __init__(self, compute: Compute, decoder: Tells | None = None) -> None:
        self._compute, self._decoder, self._tokenizer = compute, decoder, open_tokenizer()

    def read(self, question: str, passages: Sequence[Passage], budget: float = math.inf) -> list[Window]:
        """The windows of the passages with what the reader made of each, in order.

        budget: floating point operations, counted as if no state were cached and no token went to a null expert, so that
        what is read depends on the passages alone. Passages are read in their order while it lasts, the first always.
        """
        return self._windows([(question, passage) for passage in passages], budget)

    def study(
        self, question: str, passages: Sequence[Passage], units: Sequence[Sequence[tuple[int, int]]], budget: float = math.inf
    ) -> tuple[list[list[Finding]], list[Window]]:
        """`read`, and for each passage the best answer within each of its units: spans of characters, such as sentences.

        A unit without a token gives NOTHING, and so does a passage that was not read.
        """
        windows = self.read(question, passages, budget)
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
        answer = said(mine, span)
        if self._decoder is None or not answer or not any(one.block for one in mine):
            return None
        others = sorted((one for one in windows if one.passage != passage), key=lambda one: -one.judged[0])
        [asked] = tokens(self._tokenizer, [question])
        chance, without = self._decoder.chances(asked.ids, answer, [one.block for one in (*mine, *others[:RIVALS]) if one.block], passage)
        return chance - without

    def encode(self, passages: Sequence[Passage]) -> None:
        """Have what can be computed of passages without a question kept. Raises TypeError where `compute` keeps nothing."""
        if not isinstance(self._compute, Keeps):
            raise TypeError("this reader keeps no states of blocks")
        parts = [one.parts for one in cut([("", passage) for passage in passages], self._tokenizer)]
        for begin in range(0, len(parts), BATCH):
            self._compute.keep(collate(parts[begin : begin + BATCH]))

    def _windows(self, pairs: Sequence[tuple[str, Passage]], budget: float = math.inf) -> list[Window]:
        cuts = cut(pairs, self._tokenizer)
        costs = np.cumsum([flops.layers(flops.LAYERS, len(one.parts)) for one in cuts])
        read = max(1, int(np.searchsorted(costs, budget, side="right")))
        made = {at: unread(one) for at, one in enumerate(cuts[read:], read)}
        order = sorted(range(len(cuts[:read])), key=lambda at: len(cuts[at].parts))
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            rows = collate([cuts[at].parts for at in chosen])
            computed = self._compute(rows)
            for row, at in enumerate(chosen):
                one, parts = cuts[at], cuts[at].parts
                block, context = slice(parts.block, len(parts)), slice(parts.place, parts.end - 1)
                made[at] = Window(
                    one.passage, one.offsets, parts.context, computed.spans[row, context] - computed.spans[row, 0], computed.judged[row],
                    None if computed.states is None else Block(one.passage, rows.input_ids[row, block], computed.states[row, block]),
                    True, kind_of(parts), computed.spent[row] if computed.spent else Spent(),
                )  # fmt: skip
        return [made[at] for at in range(len(cuts))]


def unread(one: Cut) -> Window:
    """The window of what there was no budget to read."""
    context = one.parts.context
    nowhere = np.full((len(context), 2), -math.inf, np.float32)
    return Window(one.passage, one.offsets, context, nowhere, np.full(2, -math.inf, np.float32), None, False, kind_of(one.parts), Spent())


def kind_of(parts: Parts) -> Kind:
    return Kind.PAGE if parts.picture else kind(parts.context_grid)


def by_passage(windows: Sequence[Window]) -> dict[int, list[Window]]:
    own: dict[int, list[Window]] = {}
    for one in windows:
        own.setdefault(one.passage, []).append(one)
    return own


def best(windows: Sequence[Window], unit: tuple[int, int]) -> Finding:
    """The best answer within a unit of the windows' passage; where two find it alike, the first one's."""
    found = NOTHING
    for one in windows:
        left, right = tokens_of(one, unit)
        for score, first, last in best_spans(one.spans, left, right, 1) if one.live else ():
            if score > found.span:
                others = [*best_spans(one.spans, left, first, 1), *best_spans(one.spans, last + 1, right, 1)]
                margin = score - max((other[0] for other in others), default=-math.inf)
                found = Finding(one.offsets[first][0], one.offsets[last][1], score, *map(float, one.judged), margin)
    return found


def tokens_of(one: Window, unit: tuple[int, int]) -> tuple[int, int]:
    """(first, one past the last) of the tokens that begin within a unit."""
    return bisect_left(one.offsets, unit[0], key=itemgetter(0)), bisect_left(one.offsets, unit[1], key=itemgetter(0))


def said(windows: Sequence[Window], span: tuple[int, int]) -> Sequence[int]:
    """The tokens of an answer, characters `span` of the windows' passage, in the first window that holds it whole; else none."""
    for one in windows:
        left, right = tokens_of(one, span)
        if one.offsets[left:right] and one.offsets[right - 1][1] >= span[1]:
            return one.ids[left:right]
    return ()


def best_spans(logits: np.ndarray, left: int, right: int, count: int) -> list[tuple[float, int, int]]:
    """The `count` best answers within the tokens left..right-1, best first: (log-odds, first token, last token).

    logits: (tokens, 2), start and end, against those of [CLS]; so that the sum is the log-odds of BERT's start times end probability. An answer
    has at most LONGEST tokens.
    """
    if right <= left:
        return []
    start, end = logits[left:right, 0], logits[left:right, 1]
    ends = np.lib.stride_tricks.sliding_window_view(np.pad(end, (0, LONGEST - 1), constant_values=-np.inf), LONGEST)  # (n, LONGEST)
    scores = start[:, None] + ends
    order = [int(np.argmax(scores))] if count == 1 else np.argsort(-scores, axis=None, kind="stable")[:count].tolist()
    places = [divmod(at, LONGEST) for at in order]
    return [(float(scores[place]), left + place[0], left + sum(place)) for place in places if np.isfinite(scores[place])]


class Memory(NamedTuple):
    """Blocks, and a reader that keeps what can be computed of them without a question."""

    blocks: tuple[Passage, ...]
    reader: Reader


@dataclass(frozen=True, slots=True)
class GroundedAnswer:
    """tokens: of the answer, ids; spans: (block, first character, one past the last); boxes: of its words, (left, top, right, bottom), 0..1
    of their page, where the block has boxes; evidence: of each block the probability that it bears on the question; confidence: that of
    an answer being there. Where nothing was found tokens, spans and boxes are empty.
    """

    text: str
    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int, int], ...]
    boxes: tuple[tuple[float, float, float, float], ...]
    evidence: tuple[float, ...]
    confidence: float


def encode_blocks(blocks: Sequence[Passage | str], reader: Reader | None = None) -> Memory:
    """What `answer` reads. reader: one that keeps states of blocks; without it the shipped one, and the states are kept with the Memory.

    Raises WeightsError, and TypeError for a reader that keeps none.
    """
    if reader is None:
        from models.reader import shipped_weights

        weights = shipped_weights.describe()
        reader = Reader(replace(shipped_weights.encoder(weights), kept={}))
    passages = tuple(Passage(block) if isinstance(block, str) else block for block in blocks)
    reader.encode(passages)
    return Memory(passages, reader)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


def answer(question: str, memory: Memory) -> GroundedAnswer:
    """The best answer that stands in one of the blocks. It is for the caller to say from which confidence on it counts."""
    units = [[(0, len(block.text))] for block in memory.blocks]
    found, windows = memory.reader.study(question, memory.blocks, units)
    evidence = tuple(sigmoid(max((float(one.judged[1]) for one in windows if one.passage == at), default=-math.inf)) for at in range(len(found)))
    best_at = max(range(len(found)), key=lambda at: found[at][0].span, default=-1)
    if best_at < 0 or found[best_at][0] == NOTHING:
        return GroundedAnswer("", (), (), (), evidence, 0.0)
    [best_one], block = found[best_at], memory.blocks[best_at]
    ids = said([one for one in windows if one.passage == best_at], (best_one.start, best_one.end))
    boxes = tuple((left, top, right, bottom) for start, end, left, top, right, bottom in block.boxes if start < best_one.end and best_one.start < end)
    return GroundedAnswer(
        block.text[best_one.start : best_one.end], tuple(map(int, ids)), ((best_at, best_one.start, best_one.end),), boxes, evidence, sigmoid(best_one.answerable)
    )
