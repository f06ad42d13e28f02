"""Prepared examples as questions with their blocks, for the grounded model.

Shapes: B questions, N blocks of all of them, Q and T their tokens, A tokens of the decoder. The order is a function of seed and
epoch alone, as in models.training.batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.network.padding import coded_pairs, padded
from models.reader.coordinates import PLACES, modalities_of
from models.reader.image_patches import PATCH_PLACES, PATCHES, WIDTH
from models.reader.sequences import CLS, IGNORED, PATCH, SEP
from models.training.batches import Examples, shuffled_batches

ANSWER = 24  # tokens of an answer that are learned word for word
CACHED = 0.12  # share of the blocks that are learned from as if the question were not there


@dataclass(frozen=True, slots=True)
class QuestionBatch:
    """`place[n]` is where block n stands: question * K + its number among that question's, K being the most of a question."""

    question_ids: torch.Tensor  # (B, Q) long: [CLS] question [SEP]
    question_mask: torch.Tensor  # (B, Q) long
    block_ids: torch.Tensor  # (N, T) long: title [SEP] context [SEP], and PATCH for each patch of a picture
    block_mask: torch.Tensor  # (N, T) long
    grid: torch.Tensor  # (N, T, PLACES) long: where tokens of blocks stand, models.reader.coordinates
    patches: torch.Tensor  # (M, WIDTH) float: their features, in order
    kinds: torch.Tensor  # (N,) long: models.reader.coordinates.BlockModality
    codes: torch.Tensor  # (N, Q + T) long: which words stand in the question, models.reader.exact_match; 0 in blocks of `cached`
    context_mask: torch.Tensor  # (N, T) bool: where an answer may stand
    start: torch.Tensor  # (N,) long: 1 + place of the answer's first token in its block; 0 = not in it; -100 = not known
    end: torch.Tensor  # (N,) long
    owner: torch.Tensor  # (N,) long: the question of each block
    place: torch.Tensor  # (N,) long
    blocks: torch.Tensor  # () long: K
    cached: torch.Tensor  # (N,) bool: blocks that are read without the question, CACHED of them
    decoder_ids: torch.Tensor  # (B, A) long: [CLS] question [SEP] answer [SEP]
    decoder_mask: torch.Tensor  # (B, A) long
    labels: torch.Tensor  # (B, A) long: the answer and its [SEP]; IGNORED elsewhere, and where no answer is known word for word
    slots: torch.Tensor  # (B, A) long: the slot of memory that a label is copied from; IGNORED elsewhere
    answerable: torch.Tensor  # (N,) float 0/1
    evidence: torch.Tensor  # (N,) float 0/1, -1 = not judged
    pairs: torch.Tensor  # (pairs, 2) long: an answerable question's own block, and that of its near miss

    def to(self, device: torch.device) -> QuestionBatch:
        return QuestionBatch(*(getattr(self, name).to(device) for name in self.__slots__))


class Questions:
    """The examples of a prepared folder, those of one question together."""

    def __init__(self, folder: Path, split: str = "examples") -> None:
        self.examples = Examples(folder, split)
        _, first = np.unique(self.examples.rows["group"], return_index=True)
        self.first = np.sort(first)  # of each question's rows
        self.count = np.diff(np.append(self.first, len(self.examples)))
        longest = np.maximum.reduceat(self.examples.lengths, self.first) if len(self.first) else np.empty(0, np.int64)
        self.lengths = longest * self.count
        self.twin = _twins(self.examples.rows[self.first])  # of each question, -1 = none

    def __len__(self) -> int:
        return len(self.first)

    def order(self, tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Batches of questions; those that have a near miss stand before it."""
        leading = np.setdiff1d(np.arange(len(self)), self.twin)
        twins = self.twin[leading]
        lengths = np.where(twins < 0, self.lengths[leading], 2 * np.maximum(self.lengths[leading], self.lengths[twins]))
        batches = shuffled_batches(lengths, tokens, seed, epoch)
        return [(both := np.stack((leading[chosen], twins[chosen]), 1).reshape(-1))[both >= 0] for chosen in batches]

    def batch(self, indices: np.ndarray) -> QuestionBatch:
        rows = [np.arange(self.first[i], self.first[i] + self.count[i]) for i in indices]
        most = int(self.count[indices].max())
        owner = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows])
        place = np.concatenate([at * most + np.arange(len(mine)) for at, mine in enumerate(rows)])
        flat = self.examples.rows[np.concatenate(rows)]
        part = self.examples.part
        questions = [np.concatenate([[CLS], part(self.examples.rows[mine[0]], "question"), [SEP]]) for mine in rows]
        pictured = [int(row["picture"]) for row in flat]
        blocks = [np.concatenate([part(row, "title"), [SEP], part(row, "context"), [SEP], [PATCH] * (PATCHES * (at >= 0))]) for row, at in zip(flat, pictured, strict=True)]
        block_ids, block_mask = padded(blocks)
        left = 1 + flat["title_length"].astype(np.int64)  # where the context begins in its block
        grid, contexts = np.zeros((*block_ids.shape, PLACES), np.int64), np.zeros(block_ids.shape, bool)
        for i, row in enumerate(flat):
            context = slice(left[i], left[i] + row["context_length"])
            grid[i, : left[i] - 1], grid[i, context] = self.examples.places(row, "title"), self.examples.places(row, "context")
            contexts[i, context] = True
            if pictured[i] >= 0:
                grid[i, context.stop + 1 : len(blocks[i])] = PATCH_PLACES
        patches = self.examples.patches[[at for at in pictured if at >= 0]].reshape(-1, WIDTH).astype(np.float32)
        unmarked = np.where(flat["answerable"] == 1, IGNORED, 0)
        ends = [np.where(flat["start"] >= 0, 1 + left + flat[side], unmarked) for side in ("start", "end")]
        cached = np.random.default_rng(indices).random(len(flat)) < CACHED
        question_ids, question_mask = padded(questions)
        coded = coded_pairs(question_ids, block_ids, grid, owner) * ~cached[:, None]
        answers = [_answer(question, mine, at, self.examples, most, block_ids.shape[1]) for at, (question, mine) in enumerate(zip(questions, rows, strict=True))]
        decoder_ids, decoder_mask = padded([ids for ids, _, _ in answers])
        labels, slots = (padded([one[which] for one in answers], IGNORED)[0] for which in (1, 2))
        arrays = (
            question_ids, question_mask, block_ids, block_mask, grid, patches, modalities_of(grid), coded, contexts, *ends, owner, place, np.array(most), cached, decoder_ids, decoder_mask, labels, slots,
            flat["answerable"].astype(np.float32), flat["evidence"].astype(np.float32), self._pairs(indices),
        )
        return QuestionBatch(*map(torch.from_numpy, arrays))

    def _pairs(self, indices: np.ndarray) -> np.ndarray:
        """(pairs, 2): numbers of blocks of a batch of these questions, see QuestionBatch."""
        begin = dict(zip(indices.tolist(), (np.cumsum(self.count[indices]) - self.count[indices]).tolist(), strict=True))
        twins = ((at, int(self.twin[at])) for at in begin)
        return np.array([(begin[at], begin[twin]) for at, twin in twins if twin in begin], np.int64).reshape(-1, 2)


def _twins(rows: np.ndarray) -> np.ndarray:
    """Of each answerable question another to the same passage that has no answer there, made of it or not, each in one pair at most; -1 = none is left.

    rows: each question's own.
    """
    twin, answerable = np.full(len(rows), -1), rows["answerable"] == 1
    alone: dict[tuple[int, int, int], list[int]] = {}
    for at, passage in enumerate(zip(*(rows[name].tolist() for name in ("context", "context_length", "picture")), strict=True)):
        waiting = alone.setdefault(passage, [])  # all answerable, or none
        if waiting and answerable[waiting[-1]] != answerable[at]:
            other = waiting.pop()
            twin[other if answerable[other] else at] = at if answerable[other] else other
        else:
            waiting.append(at)
    return twin


def _answer(question: np.ndarray, rows: np.ndarray, at: int, examples: Examples, most: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decoder tokens, labels and slots of one question. The slot of token t of its block k is k * width + t."""
    ignored = np.full(len(question), IGNORED)
    for number, at_row in enumerate(rows):
        row = examples.rows[at_row]
        if row["start"] >= 0:
            answer = examples.part(row, "context")[row["start"] : row["end"] + 1]
            whole = len(answer) <= ANSWER
            answer = np.append(answer, SEP) if whole else answer[:ANSWER]
            first = number * width + int(row["title_length"]) + 1 + int(row["start"])
            slots = np.arange(first, first + len(answer))
            slots[len(answer) - whole :] = IGNORED  # [SEP] is copied from nowhere
            return np.concatenate([question, answer]), np.concatenate([ignored, answer]), np.concatenate([ignored, slots])
    known = not examples.rows[rows]["answerable"].any()  # else it has an answer that is no span: nothing to write is learned
    return np.append(question, SEP), np.append(ignored, SEP if known else IGNORED), np.append(ignored, IGNORED)
