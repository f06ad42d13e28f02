"""Reads passages with the grounded model: the span head drafts answers, the decoder tells which of them it would write.

Gives the same findings as models.reader.Reader, so that one evaluation serves both. Drafts are verified in one pass of the decoder,
as in speculative decoding (arXiv 2211.17192); `greedy` has it write by itself and takes the slots that it copied from. Legend as in
models.grounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models import base
from models.grid import coordinates, kinds_of
from models.grounded import GroundedForCausalLM
from models.layout import CLS, PAD, QUESTION, SEP, TITLE, WINDOW
from models.memory import Live, Memory
from models.questions import coded_pairs, padded
from models.reader import BATCH, LONGEST, NOTHING, Finding, best_spans
from models.windows import Passage, open_tokenizer, starts

if TYPE_CHECKING:
    from tokenizers import Encoding

DRAFTS = 5  # answers of the span head that the decoder looks at


@dataclass(frozen=True, slots=True)
class Block:
    """A window of a passage as it is encoded: `title [SEP] context [SEP]`, the context's tokens from `first` on."""

    owner: int  # which question it belongs to
    passage: int
    first: int
    title: int  # tokens before the context
    tokens: list[int]
    grid: np.ndarray  # (tokens, PLACES)

    @property
    def length(self) -> int:
        """Tokens of the context."""
        return len(self.tokens) - self.title - 1


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer from context token `first` to `last`, in block `block`; score: log-odds of the span head against "not here"."""

    score: float
    block: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Recalled:
    """Questions, and what is remembered of their passages. Block number k of a question has the slots from k * width on."""

    asked: list[list[int]]  # [CLS] question [SEP]
    contexts: list[Encoding]  # of each passage
    blocks: list[Block]
    memory: Memory  # of each question
    live: Live  # of each block
    width: int

    def placed(self, question: int, slots: Sequence[int]) -> tuple[int, int, int] | None:
        """(block, first, last) of the context tokens in `slots` that stand in the block of the first one; None where that is no context.

        Of a token that stands nowhere in memory the slot is -1.
        """
        slots = [slot for slot in slots if slot >= 0]
        own = [at for at, block in enumerate(self.blocks) if block.owner == question]
        number = slots[0] // self.width if slots else len(own)
        if number >= len(own):
            return None
        block = self.blocks[own[number]]
        there = [slot % self.width - block.title for slot in slots if slot // self.width == number]
        there = [block.first + at for at in there if 0 <= at < block.length]
        return (own[number], min(there), max(there)) if there else None

    def characters(self, block: int, first: int, last: int) -> tuple[int, int]:
        """Of context tokens `first` to `last` of a block's passage."""
        offsets = self.contexts[self.blocks[block].passage].offsets
        return offsets[first][0], offsets[last][1]

    def tokens(self, draft: Draft) -> list[int]:
        """What the decoder writes to give a draft as its answer."""
        return [*self.contexts[self.blocks[draft.block].passage].ids[draft.first : draft.last + 1], SEP]

    def log_odds(self) -> np.ndarray:
        """Of an answer's start and end at each token against "not in this block": (blocks, T, 2)."""
        spans = self.live.spans.float().cpu().numpy()  # (N, 1 + T, 2)
        return spans[:, 1:] - spans[:, :1]


@dataclass(frozen=True, slots=True)
class Traced:
    """What was written, (B, A) tokens: where in memory each stands, and how likely it was. stop: that of stopping at once, (B,)."""

    chances: torch.Tensor  # (B, A) log-probabilities
    slots: torch.Tensor  # (B, A) long: the slot that it was copied from most, -1 where it stands in none
    stop: torch.Tensor


class GroundedReader:
    def __init__(self, model: GroundedForCausalLM, *, greedy: bool = False, window: int = WINDOW) -> None:
        """window: tokens of a context that are read as one block."""
        self.model, self.tokenizer, self._greedy, self._window = model.eval(), open_tokenizer(), greedy, window

    def read_pairs(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]:
        """One finding for each question with its own passage; a long passage becomes several blocks of one memory."""
        found = [NOTHING] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][1].text))
        for first in range(0, len(order), BATCH):
            chosen = [i for i in order[first : first + BATCH] if pairs[i][1].text.strip()]
            if chosen:
                for i, finding in zip(chosen, self._read([pairs[i] for i in chosen]), strict=True):
                    found[i] = finding
        return found

    @torch.inference_mode()
    def _read(self, pairs: Sequence[tuple[str, Passage]]) -> list[Finding]:
        recalled = self.remember(*zip(*pairs, strict=True), owners=range(len(pairs)))
        judged = recalled.live.judged.float().cpu().numpy()
        findings = []
        for draft in self._written(recalled) if self._greedy else self._verified(recalled):
            if draft is None:
                findings.append(NOTHING)
                continue
            answerable, evidence = judged[draft.block]
            findings.append(Finding(*recalled.characters(draft.block, draft.first, draft.last), draft.score, float(answerable), float(evidence)))
        return findings

    @torch.inference_mode()
    def remember(self, questions: Sequence[str], passages: Sequence[Passage], owners: Sequence[int]) -> Recalled:
        """owners: the question of each passage, from 0 on in order; every question has one."""
        model, device = self.model, self.model.device
        asked = [[CLS, *self._tokens(question).ids[:QUESTION], SEP] for question in questions]
        contexts = [self._tokens(passage.text) for passage in passages]
        blocks = [block for at, owner in enumerate(owners) for block in self._blocks(owner, at, passages[at], contexts[at])]
        owner = [block.owner for block in blocks]
        most = max(owner.count(i) for i in range(len(asked)))
        place = [block.owner * most + owner[:at].count(block.owner) for at, block in enumerate(blocks)]
        (asked_ids, asked_mask), (ids, mask) = padded(asked), padded([block.tokens for block in blocks])
        grid = np.stack([np.pad(block.grid, ((0, ids.shape[1] - len(block.grid)), (0, 0))) for block in blocks]).astype(np.int64)
        arrays = asked_ids, asked_mask, ids, mask, grid, coded_pairs(asked_ids, ids, grid, np.array(owner)), kinds_of(grid)
        question_ids, question_mask, block_ids, block_mask, places, coded, sorts = (torch.from_numpy(array).to(device) for array in arrays)
        owned = torch.tensor(owner, device=device)
        states = model.memory.lower(question_ids, question_mask)[owned]
        lower = model.memory.lower(block_ids, block_mask, places)
        live = model.memory.live(states, question_mask[owned], lower, block_mask, coded, sorts)
        memory = model.remember(live.states, block_ids, block_mask).gather(torch.tensor(place, device=device), len(asked), most)
        return Recalled(asked, contexts, blocks, memory, live, block_ids.shape[1])

    def _blocks(self, owner: int, passage: int, read: Passage, context: Encoding) -> list[Block]:
        title = self._tokens(read.title).ids[:TITLE]
        grid = coordinates(base.encodable(read.text), context.offsets, read.boxes)
        return [
            Block(owner, passage, first, len(title) + 1, [*title, SEP, *context.ids[first : first + self._window], SEP], np.pad(grid[first : first + self._window], ((len(title) + 1, 1), (0, 0))))
            for first in starts(len(context.ids), self._window) or [0]
        ]

    def _verified(self, recalled: Recalled) -> list[Draft | None]:
        """Of each question's drafts the one of the highest score and log-probability together."""
        model, device, asked = self.model, self.model.device, recalled.asked
        odds = recalled.log_odds()
        rows = [(i, draft) for i in range(len(asked)) for draft in drafted(recalled.blocks, odds, i)]
        if not rows:
            return [None] * len(asked)
        said = [recalled.tokens(draft) for _, draft in rows]
        ids, mask = (torch.from_numpy(array).to(device) for array in padded([[*asked[i], *answer] for (i, _), answer in zip(rows, said, strict=True)]))
        owner = torch.tensor([i for i, _ in rows], device=device)
        out = model(input_ids=ids, attention_mask=mask, **{name: value[owner] for name, value in recalled.memory.inputs().items()})
        chances = out.logits[:, :-1].gather(-1, ids[:, 1:, None])[..., 0].float().cpu().numpy()  # (rows, A - 1)
        best: list[tuple[float, Draft] | None] = [None] * len(asked)
        for (i, draft), answer, row in zip(rows, said, chances, strict=True):
            total = draft.score + float(row[len(asked[i]) - 1 : len(asked[i]) - 1 + len(answer)].sum())
            if best[i] is None or total > best[i][0]:
                best[i] = total, draft
        return [pair and pair[1] for pair in best]

    def _written(self, recalled: Recalled) -> list[Draft | None]:
        """What the decoder writes by greedy search: from the first to the last slot that it copies from in the block of the first one.

        None where it writes nothing, or copies nothing of a context.
        """
        model, memory = self.model, recalled.memory
        prompt, mask = (torch.from_numpy(array[:, ::-1].copy()).to(model.device) for array in padded([ids[::-1] for ids in recalled.asked]))
        written = model.generate(prompt, attention_mask=mask, max_new_tokens=LONGEST, do_sample=False, **memory.inputs())
        new = written[:, prompt.shape[1] :]  # (B, A)
        traced = trace(model, written, torch.cat((mask, torch.ones_like(new)), 1), new.shape[1], memory)
        surplus = (traced.chances[:, 0] - traced.stop).tolist()
        chosen: list[Draft | None] = []
        for i, (tokens, slots) in enumerate(zip(new.tolist(), traced.slots.tolist(), strict=True)):
            place = recalled.placed(i, slots[: written_length(tokens)])
            chosen.append(place and Draft(surplus[i], *place))
        return chosen

    def _tokens(self, text: str) -> Encoding:
        return self.tokenizer.encode(base.encodable(text), add_special_tokens=False)


def trace(model: GroundedForCausalLM, written: torch.Tensor, mask: torch.Tensor, new: int, memory: Memory) -> Traced:
    """written, mask (B, P + A), prompts padded on the left; new: A; memory: of B questions, or of the one that all rows answer."""
    inputs = {name: value.expand(len(written), *value.shape[1:]) for name, value in memory.inputs().items()}
    positions = (mask.cumsum(1) - 1).clamp_min(0)  # (B, P + A)
    out = model(input_ids=written, attention_mask=mask, position_ids=positions, logits_to_keep=new + 1, **inputs)
    tokens = written[:, -new:]  # (B, A)
    chances = out.logits[:, :-1].gather(-1, tokens[..., None])[..., 0].float()  # (B, A)
    same = inputs["memory_ids"][:, None] == tokens[..., None]  # (B, A, S)
    slots = out.copy[:, :-1, 1:].masked_fill(~same, float("-inf")).argmax(-1)  # (B, A)
    slots = slots.masked_fill(~same.any(-1), -1)
    return Traced(chances, slots, out.logits[:, 0, SEP].float())


def written_length(tokens: Sequence[int]) -> int:
    """Tokens of an answer before its end."""
    return next((at for at, token in enumerate(tokens) if token in (SEP, PAD)), len(tokens))


def drafted(blocks: Sequence[Block], odds: np.ndarray, question: int) -> list[Draft]:
    """The DRAFTS best answers of a question, each once, best first. odds: (N, T, 2), Recalled.log_odds."""
    found: dict[tuple[int, int, int], Draft] = {}
    for number, block in enumerate(blocks):
        if block.owner != question or not block.length:
            continue
        logits = odds[number, block.title : block.title + block.length]
        for score, first, last in best_spans(logits, 0, block.length, DRAFTS):
            draft = Draft(score, number, block.first + first, block.first + last)
            key = block.passage, draft.first, draft.last
            if key not in found or found[key].score < draft.score:
                found[key] = draft
    return sorted(found.values(), key=lambda draft: -draft.score)[:DRAFTS]
