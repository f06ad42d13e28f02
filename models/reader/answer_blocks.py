"""The reader as two functions: encode blocks once, then answer questions about them. Imports no torch.

    memory = encode_blocks([Passage("Pool 3 is heated to 27 degrees.")])
    answer("How warm is pool 3?", memory).text

Knows no index and no retrieval: every block is read for every question.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from models.reader import shipped_weights
from models.reader.extractive_reader import Reader, answer_tokens, sigmoid
from models.reader.types import NOTHING
from models.reader.windows import Passage


class EncodedBlocks(NamedTuple):
    """Blocks, and a reader that has cached what can be computed of them without a question."""

    blocks: tuple[Passage, ...]
    reader: Reader


@dataclass(frozen=True, slots=True)
class GroundedAnswer:
    """tokens: ids of the answer. spans: (block, first character, one past the last).

    boxes: of its words, (left, top, right, bottom), 0..1 of their page, where the block has boxes. evidence: of each
    block the probability that it bears on the question. confidence: the probability that there is an answer. Where
    nothing was found tokens, spans and boxes are empty.
    """

    text: str
    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int, int], ...]
    boxes: tuple[tuple[float, float, float, float], ...]
    evidence: tuple[float, ...]
    confidence: float


def encode_blocks(blocks: Sequence[Passage | str], reader: Reader | None = None) -> EncodedBlocks:
    """What `answer` reads.

    reader: one that caches states of blocks; without it the shipped one, with a cache of its own.
    Raises WeightsError, and TypeError for a reader without a cache.
    """
    if reader is None:
        reader = Reader(replace(shipped_weights.encoder(shipped_weights.describe()), cache={}))
    passages = tuple(Passage(block) if isinstance(block, str) else block for block in blocks)
    reader.encode(passages)
    return EncodedBlocks(passages, reader)


def answer(question: str, memory: EncodedBlocks) -> GroundedAnswer:
    """The best answer in one of the blocks. The caller decides from which confidence on it counts."""
    blocks = memory.blocks
    found, windows = memory.reader.study(question, blocks, [[(0, len(block.text))] for block in blocks])
    judged = [[float(one.judged[1]) for one in windows if one.passage == at] for at in range(len(found))]
    evidence = tuple(sigmoid(max(logits, default=-math.inf)) for logits in judged)
    at = max(range(len(found)), key=lambda at: found[at][0].span, default=-1)
    if at < 0 or found[at][0] == NOTHING:
        return GroundedAnswer("", (), (), (), evidence, 0.0)
    [best], block = found[at], blocks[at]
    ids = answer_tokens([one for one in windows if one.passage == at], (best.start, best.end))
    boxes = tuple(tuple(box) for start, end, *box in block.boxes if start < best.end and best.start < end)
    text, spans = block.text[best.start : best.end], ((at, best.start, best.end),)
    return GroundedAnswer(text, tuple(map(int, ids)), spans, boxes, evidence, sigmoid(best.answerable))
