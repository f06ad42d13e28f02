"""Reads passages for a question: where the answer is in each, and how sure that is. Imports no torch.

The Compute that gives the logits is handed in: a checkpoint through torch (models.network.baseline_reader,
models.network.torch_reader) or the shipped int8 graphs (models.reader.shipped_weights). Knows no weights and no index.
Shapes: B windows, S tokens.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from models.reader import flops
from models.reader.ablation import AnswerScorer, Block
from models.reader.coordinates import BlockModality, modality_of
from models.reader.flops import Cost
from models.reader.sequences import Parts, collate
from models.reader.types import NOTHING, CachesBlocks, Compute, Finding, Window
from models.reader.windows import Cut, Passage, cut, open_tokenizer, tokens

LONGEST = 48  # tokens of an answer
BATCH = 32  # windows of like length at once
RIVALS = 2  # windows of other passages that the decoder reads beside those of the cited one


class Reader:
    """Thread-safe where `compute` is. decoder: what `ablation` asks, where there is one."""

    def __init__(self, compute: Compute, decoder: AnswerScorer | None = None) -> None:
        self._compute, self._decoder, self._tokenizer = compute, decoder, open_tokenizer()

    def read(self, question: str, passages: Sequence[Passage], budget: float = math.inf) -> list[Window]:
        """The windows of the passages, in order, with what the model made of each.

        budget: floating point operations, counted as if nothing were cached and no token went to a null expert, so that
        what is read depends on the passages alone. They are read in their order while it lasts, the first one always.
        """
        return self._windows([(question, passage) for passage in passages], budget)

    def study(
        self, question: str, passages: Sequence[Passage], units: Sequence[Sequence[tuple[int, int]]],
        budget: float = math.inf,
    ) -> tuple[list[list[Finding]], list[Window]]:  # fmt: skip
        """The best answer within each unit of each passage, and the windows, which `ablation` needs.

        units: spans of characters, such as sentences or cells. budget: see `read`. A unit without a token, or not read,
        gives NOTHING.
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
        answer = answer_tokens(mine, span)
        if self._decoder is None or not answer or not any(one.block for one in mine):
            return None
        others = sorted((one for one in windows if one.passage != passage), key=lambda one: -one.judged[0])
        blocks = [one.block for one in (*mine, *others[:RIVALS]) if one.block]
        [asked] = tokens(self._tokenizer, [question])
        whole, without = self._decoder.log_probabilities(asked.ids, answer, blocks, passage)
        return whole - without

    def encode(self, passages: Sequence[Passage]) -> None:
        """Compute and cache what does not depend on a question. Raises TypeError where `compute` has no cache."""
        if not isinstance(self._compute, CachesBlocks):
            raise TypeError("this reader has no cache of block states")
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
                places, context = slice(parts.block, len(parts)), slice(parts.place, parts.end - 1)
                spans, block, summary = computed.spans[row, context] - computed.spans[row, 0], None, None
                if computed.states is not None:
                    block = Block(one.passage, rows.input_ids[row, places], computed.states[row, places])
                    summary = computed.states[row, 0]
                made[at] = Window(
                    one.passage, one.offsets, parts.context, spans, computed.judged[row], block, summary, True,
                    modality_of_parts(parts), computed.costs[row] if computed.costs else Cost(),
                )  # fmt: skip
        return [made[at] for at in range(len(cuts))]


def unread(one: Cut) -> Window:
    """The window of what there was no budget to read."""
    context = one.parts.context
    nowhere, unknown = np.full((len(context), 2), -math.inf, np.float32), np.full(2, -math.inf, np.float32)
    modality = modality_of_parts(one.parts)
    return Window(one.passage, one.offsets, context, nowhere, unknown, None, None, False, modality, Cost())


def modality_of_parts(parts: Parts) -> BlockModality:
    return BlockModality.PAGE if parts.picture else modality_of(parts.context_grid)


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
        for score, first, last in best_spans(one.spans, left, right, 1) if one.was_read else ():
            if score > found.span:
                others = [*best_spans(one.spans, left, first, 1), *best_spans(one.spans, last + 1, right, 1)]
                margin = score - max((other[0] for other in others), default=-math.inf)
                found = Finding(one.offsets[first][0], one.offsets[last][1], score, *map(float, one.judged), margin)
    return found


def tokens_of(one: Window, unit: tuple[int, int]) -> tuple[int, int]:
    """(first, one past the last) of the tokens that begin within a unit."""
    return bisect_left(one.offsets, unit[0], key=itemgetter(0)), bisect_left(one.offsets, unit[1], key=itemgetter(0))


def answer_tokens(windows: Sequence[Window], span: tuple[int, int]) -> Sequence[int]:
    """The tokens of an answer, characters `span` of the passage, from the first window with all of it; else none."""
    for one in windows:
        left, right = tokens_of(one, span)
        if one.offsets[left:right] and one.offsets[right - 1][1] >= span[1]:
            return one.ids[left:right]
    return ()


def best_spans(logits: np.ndarray, left: int, right: int, count: int) -> list[tuple[float, int, int]]:
    """The `count` best answers within the tokens left..right-1, best first: (log-odds, first token, last token).

    logits: (tokens, 2), start and end, less those of [CLS], so that their sum is the log-odds of BERT's start times end
    probability (arXiv 1810.04805). An answer has at most LONGEST tokens.
    """
    if right <= left:
        return []
    start, end = logits[left:right, 0], logits[left:right, 1]
    padded = np.pad(end, (0, LONGEST - 1), constant_values=-np.inf)
    ends = np.lib.stride_tricks.sliding_window_view(padded, LONGEST)  # (n, LONGEST)
    scores = start[:, None] + ends
    order = [int(np.argmax(scores))] if count == 1 else np.argsort(-scores, axis=None, kind="stable")[:count].tolist()
    places = [divmod(at, LONGEST) for at in order]
    possible = [place for place in places if np.isfinite(scores[place])]
    return [(float(scores[place]), left + place[0], left + sum(place)) for place in possible]


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
