"""Prepared examples as batches of questions with their blocks, for the grounded model.

Shapes: B questions, N blocks of all questions together, Q and T tokens of a question and of a block, A tokens of the
decoder, K blocks of the question that has most. The order of batches is a function of seed and epoch alone, as in
models.training.batches.
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

ANSWER = 24  # tokens of an answer that the decoder learns to write
CACHED = 0.12  # share of the blocks that are encoded without their question, as cached blocks are; chosen by hand


@dataclass(frozen=True, slots=True)
class QuestionBatch:
    """`place[n]` of block n is question * K + its number among the blocks of that question."""

    question_ids: torch.Tensor  # (B, Q) long: [CLS] question [SEP]
    question_mask: torch.Tensor  # (B, Q) long
    block_ids: torch.Tensor  # (N, T) long: title [SEP] context [SEP], and PATCH for each patch of a picture
    block_mask: torch.Tensor  # (N, T) long
    grid: torch.Tensor  # (N, T, PLACES) long: coordinates of the tokens, models.reader.coordinates
    patches: torch.Tensor  # (M, WIDTH) float: features of the M patches, in the order of the blocks
    kinds: torch.Tensor  # (N,) long: models.reader.coordinates.BlockModality
    codes: torch.Tensor  # (N, Q + T) long: words shared with the question, models.reader.exact_match; 0 if cached
    context_mask: torch.Tensor  # (N, T) bool: tokens that may be an answer
    start: torch.Tensor  # (N,) long: 1 + place of the answer's first token in its block; 0 = none; IGNORED = unknown
    end: torch.Tensor  # (N,) long
    owner: torch.Tensor  # (N,) long: the question of each block
    place: torch.Tensor  # (N,) long
    blocks: torch.Tensor  # () long: K
    cached: torch.Tensor  # (N,) bool: blocks that are encoded without their question, a share of CACHED
    decoder_ids: torch.Tensor  # (B, A) long: [CLS] question [SEP] answer [SEP]
    decoder_mask: torch.Tensor  # (B, A) long
    labels: torch.Tensor  # (B, A) long: the answer and its [SEP]; IGNORED elsewhere, and all where no span is known
    slots: torch.Tensor  # (B, A) long: the memory slot that a label is copied from; IGNORED elsewhere
    answerable: torch.Tensor  # (N,) float 0/1
    evidence: torch.Tensor  # (N,) float 0/1, -1 = not judged
    pairs: torch.Tensor  # (pairs, 2) long: the block of an answerable question, and that of its near miss

    def to(self, device: torch.device) -> QuestionBatch:
        return QuestionBatch(*(getattr(self, name).to(device) for name in self.__slots__))


class Questions:
    """The examples of a prepared folder, grouped by question.

    Raises DataError as models.training.batches.Examples does.
    """

    def __init__(self, folder: Path, split: str = "examples") -> None:
        self.examples = Examples(folder, split)
        _, first = np.unique(self.examples.rows["group"], return_index=True)
        self.first = np.sort(first)  # (questions,): the first row of each
        self.count = np.diff(np.append(self.first, len(self.examples)))
        longest = np.maximum.reduceat(self.examples.lengths, self.first) if len(self.first) else np.empty(0, np.int64)
        self.lengths = longest * self.count
        self.near_miss = _near_misses(self.examples.rows[self.first])  # (questions,): the near miss of each, -1 = none

    def __len__(self) -> int:
        return len(self.first)

    def order(self, tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Batches of questions of about `tokens` tokens; a question is followed by its near miss in the same batch."""
        leading = np.setdiff1d(np.arange(len(self)), self.near_miss)
        following = self.near_miss[leading]
        paired = 2 * np.maximum(self.lengths[leading], self.lengths[following])
        lengths = np.where(following < 0, self.lengths[leading], paired)
        batches = shuffled_batches(lengths, tokens, seed, epoch)
        both = [np.stack((leading[chosen], following[chosen]), 1).reshape(-1) for chosen in batches]
        return [questions[questions >= 0] for questions in both]

    def batch(self, indices: np.ndarray) -> QuestionBatch:
        """The batch of these questions, each with all its blocks."""
        rows = [np.arange(self.first[i], self.first[i] + self.count[i]) for i in indices]
        most = int(self.count[indices].max())
        owner = np.repeat(np.arange(len(rows)), [len(mine) for mine in rows])
        place = np.concatenate([at * most + np.arange(len(mine)) for at, mine in enumerate(rows)])
        flat = self.examples.rows[np.concatenate(rows)]
        part = self.examples.part
        questions = [np.concatenate([[CLS], part(self.examples.rows[mine[0]], "question"), [SEP]]) for mine in rows]
        question_ids, question_mask = padded(questions)
        block_ids, block_mask, grid, contexts = self._blocks(flat)
        pictures = flat["picture"].astype(np.int64)
        patches = self.examples.patches[pictures[pictures >= 0]].reshape(-1, WIDTH).astype(np.float32)
        unmarked = np.where(flat["answerable"] == 1, IGNORED, 0)
        begin = 2 + flat["title_length"].astype(np.int64)  # of the context, counted from 1
        ends = [np.where(flat["start"] >= 0, begin + flat[side], unmarked) for side in ("start", "end")]
        cached = np.random.default_rng(indices).random(len(flat)) < CACHED
        coded = coded_pairs(question_ids, block_ids, grid, owner) * ~cached[:, None]
        answers = [
            _answer(question, self.examples.rows[mine], self.examples, block_ids.shape[1])
            for question, mine in zip(questions, rows, strict=True)
        ]
        decoder_ids, decoder_mask = padded([ids for ids, _, _ in answers])
        labels, slots = (padded([one[which] for one in answers], IGNORED)[0] for which in (1, 2))
        arrays = (
            question_ids, question_mask, block_ids, block_mask, grid, patches, modalities_of(grid), coded, contexts,
            *ends,
            owner, place, np.array(most), cached, decoder_ids, decoder_mask, labels, slots,
            flat["answerable"].astype(np.float32), flat["evidence"].astype(np.float32), self._pairs(indices),
        )  # fmt: skip
        return QuestionBatch(*map(torch.from_numpy, arrays))

    def _blocks(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """block_ids, block_mask, grid and context_mask of QuestionBatch, for N rows."""
        part, places = self.examples.part, self.examples.places
        patch_counts = PATCHES * (rows["picture"] >= 0)
        blocks = [
            np.concatenate([part(row, "title"), [SEP], part(row, "context"), [SEP], [PATCH] * count])
            for row, count in zip(rows, patch_counts, strict=True)
        ]
        ids, mask = padded(blocks)
        grid, contexts = np.zeros((*ids.shape, PLACES), np.int64), np.zeros(ids.shape, bool)
        for i, row in enumerate(rows):
            title_length = int(row["title_length"])
            context = slice(title_length + 1, title_length + 1 + int(row["context_length"]))
            grid[i, :title_length], grid[i, context] = places(row, "title"), places(row, "context")
            contexts[i, context] = True
            if patch_counts[i]:
                grid[i, context.stop + 1 : len(blocks[i])] = PATCH_PLACES
        return ids, mask, grid, contexts

    def _pairs(self, indices: np.ndarray) -> np.ndarray:
        """(pairs, 2): the first blocks of questions and of their near misses, where a batch has both."""
        count = self.count[indices]
        begin = dict(zip(indices.tolist(), (np.cumsum(count) - count).tolist(), strict=True))
        paired = ((at, int(self.near_miss[at])) for at in begin)
        found = [(begin[at], begin[other]) for at, other in paired if other in begin]
        return np.array(found, np.int64).reshape(-1, 2)


def _near_misses(rows: np.ndarray) -> np.ndarray:
    """For each answerable question another to the same passage that has no answer there, -1 = none is left.

    The other one was generated from it or not; each question is in one pair at most. rows: the own row of each
    question.
    """
    near_miss, answerable = np.full(len(rows), -1), rows["answerable"] == 1
    unpaired: dict[tuple[int, int, int], list[int]] = {}
    passages = zip(*(rows[name].tolist() for name in ("context", "context_length", "picture")), strict=True)
    for at, passage in enumerate(passages):
        waiting = unpaired.setdefault(passage, [])  # all answerable, or none
        if waiting and answerable[waiting[-1]] != answerable[at]:
            other = waiting.pop()
            near_miss[other if answerable[other] else at] = at if answerable[other] else other
        else:
            waiting.append(at)
    return near_miss


def _answer(
    question: np.ndarray, rows: np.ndarray, examples: Examples, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decoder tokens, labels and slots of one question. The slot of token t of its block k is k * width + t."""
    ignored = np.full(len(question), IGNORED)
    for number, row in enumerate(rows):
        if row["start"] >= 0:
            answer = examples.part(row, "context")[row["start"] : row["end"] + 1]
            whole = len(answer) <= ANSWER
            answer = np.append(answer, SEP) if whole else answer[:ANSWER]
            first = number * width + int(row["title_length"]) + 1 + int(row["start"])
            slots = np.arange(first, first + len(answer))
            slots[len(answer) - whole :] = IGNORED  # [SEP] is copied from nowhere
            return np.concatenate([question, answer]), np.append(ignored, answer), np.append(ignored, slots)
    writes_nothing = not rows["answerable"].any()  # else the answer is no span, and the decoder learns nothing
    return np.append(question, SEP), np.append(ignored, SEP if writes_nothing else IGNORED), np.append(ignored, IGNORED)
