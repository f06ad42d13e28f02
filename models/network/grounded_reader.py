"""Reads passages with the grounded model: the span head drafts answers, the decoder chooses among them.

Gives the same findings as models.reader.extractive_reader.Reader, so that one evaluation serves both. Drafts are
verified in one pass of the decoder, as in speculative decoding (arXiv 2211.17192). With `greedy` the decoder writes by
itself, and the answer is the slots that it copied from.
Legend as in models.network.grounded; N blocks, A tokens of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.common import base_encoder
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Live, Memory
from models.network.padding import coded_pairs, padded
from models.reader.coordinates import coordinates, modalities_of
from models.reader.extractive_reader import BATCH, LONGEST, best_spans
from models.reader.image_patches import PATCH_PLACES, WIDTH
from models.reader.sequences import CLS, PAD, PATCH, QUESTION, SEP, TITLE, WINDOW
from models.reader.types import NOTHING, Finding
from models.reader.windows import Passage, open_tokenizer, starts

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
    tokens: list[int]  # of title, context and patches
    grid: np.ndarray  # (tokens, PLACES)
    length: int  # tokens of the context


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer, context tokens `first` to `last` of a block; score: the span head's log-odds against "not here"."""

    score: float
    block: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Recalled:
    """Questions with the memory of their passages. Block number k of a question has the slots from k * width on."""

    asked: list[list[int]]  # [CLS] question [SEP]
    contexts: list[Encoding]  # of each passage
    blocks: list[Block]
    memory: Memory  # of each question
    live: Live  # of each block
    width: int

    def placed(self, question: int, slots: Sequence[int]) -> tuple[int, int, int] | None:
        """(block, first, last) of the context tokens in `slots` that are in the block of the first one.

        None where the first one is no context. The slot of a token that is not in memory is -1.
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
        """The decoder's tokens for a draft, [SEP] at the end."""
        return [*self.contexts[self.blocks[draft.block].passage].ids[draft.first : draft.last + 1], SEP]

    def log_odds(self) -> np.ndarray:
        """Log-odds of an answer's start and end at each token against "not in this block": (blocks, T, 2)."""
        spans = self.live.spans.float().cpu().numpy()  # (N, 1 + T, 2)
        return spans[:, 1:] - spans[:, :1]


@dataclass(frozen=True, slots=True)
class Traced:
    """The decoder's view of answers of (B, A) tokens."""

    chances: torch.Tensor  # (B, A) log-probabilities
    slots: torch.Tensor  # (B, A) long: the slot with the largest copy share of the token, -1 where no slot has it
    greedy: torch.Tensor  # (B, A) bool: whether it is the likeliest token
    stop: torch.Tensor  # (B,) log-probability of an empty answer


class GroundedReader:
    def __init__(self, model: GroundedForCausalLM, *, greedy: bool = False, window: int = WINDOW) -> None:
        """window: tokens of a context that are read as one block."""
        self.model, self.tokenizer = model.eval(), open_tokenizer()
        self._greedy, self._window = greedy, window

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
            start, end = recalled.characters(draft.block, draft.first, draft.last)
            findings.append(Finding(start, end, draft.score, *map(float, judged[draft.block])))
        return findings

    @torch.inference_mode()
    def remember(self, questions: Sequence[str], passages: Sequence[Passage], owners: Sequence[int]) -> Recalled:
        """owners: the question of each passage, from 0 on in order; every question has one."""
        model, device = self.model, self.model.device
        asked = [[CLS, *self.tokens(question).ids[:QUESTION], SEP] for question in questions]
        contexts = [self.tokens(passage.text) for passage in passages]
        cuts = [self._blocks(owner, at, passages[at], contexts[at]) for at, owner in enumerate(owners)]
        blocks = [block for cut in cuts for block in cut]
        owner = [block.owner for block in blocks]
        most = max(owner.count(i) for i in range(len(asked)))
        place = [block.owner * most + owner[:at].count(block.owner) for at, block in enumerate(blocks)]
        (asked_ids, asked_mask), (ids, mask) = padded(asked), padded([block.tokens for block in blocks])
        width = ids.shape[1]
        grids = [np.pad(block.grid, ((0, width - len(block.grid)), (0, 0))) for block in blocks]
        grid = np.stack(grids).astype(np.int64)
        shown = [read.picture.features for block in blocks if (read := passages[block.passage]).picture]
        patches = np.concatenate([np.empty((0, WIDTH), np.float32), *shown]).astype(np.float32)
        coded = coded_pairs(asked_ids, ids, grid, np.array(owner))

        def moved(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        owned, question_mask, block_ids, block_mask = map(moved, (np.array(owner), asked_mask, ids, mask))
        questions = model.memory.lower(moved(asked_ids), question_mask)[owned]
        lower = model.memory.lower(block_ids, block_mask, moved(grid), moved(patches))
        kinds = moved(modalities_of(grid))
        live = model.memory.live(questions, question_mask[owned], lower, block_mask, moved(coded), kinds)
        memory = model.remember(live.states, block_ids, block_mask).gather(moved(np.array(place)), len(asked), most)
        return Recalled(asked, contexts, blocks, memory, live, width)

    def _blocks(self, owner: int, passage: int, read: Passage, context: Encoding) -> list[Block]:
        title = self.tokens(read.title).ids[:TITLE]
        grid = coordinates(base_encoder.encodable(read.text), context.offsets, read.boxes)
        places = PATCH_PLACES if read.picture else grid[:0]
        made = []
        for first in starts(len(context.ids), self._window) or [0]:
            tokens, there = context.ids[first : first + self._window], grid[first : first + self._window]
            whole = np.concatenate((np.pad(there, ((len(title) + 1, 1), (0, 0))), places))
            ids = [*title, SEP, *tokens, SEP, *[PATCH] * len(places)]
            made.append(Block(owner, passage, first, len(title) + 1, ids, whole, len(tokens)))
        return made

    def _verified(self, recalled: Recalled) -> list[Draft | None]:
        """The draft of each question whose score and log-probability have the highest sum."""
        odds = recalled.log_odds()
        rows = [(i, draft) for i in range(len(recalled.asked)) for draft in drafted(recalled.blocks, odds, i)]
        best: list[tuple[float, Draft] | None] = [None] * len(recalled.asked)
        answers = [(i, recalled.tokens(draft)) for i, draft in rows]
        scored = likelihoods(self.model, recalled.asked, answers, recalled.memory)
        for (i, draft), (chance, _) in zip(rows, scored, strict=True):
            total = draft.score + chance
            if best[i] is None or total > best[i][0]:
                best[i] = total, draft
        return [pair and pair[1] for pair in best]

    def _written(self, recalled: Recalled) -> list[Draft | None]:
        """What the decoder writes by greedy search, as the tokens from the first to the last slot that it copies from.

        Slots of other blocks than the first one's are left out. None where it writes nothing, or copies no context.
        """
        prompt, mask = prompts(recalled.asked, self.model.device)
        new = write(self.model, prompt, mask, recalled.memory, LONGEST)  # (B, A)
        traced = trace(self.model, prompt, mask, new, recalled.memory)
        surplus = (traced.chances[:, 0] - traced.stop).tolist()
        chosen: list[Draft | None] = []
        for i, (tokens, slots) in enumerate(zip(new.tolist(), traced.slots.tolist(), strict=True)):
            place = recalled.placed(i, slots[: written_length(tokens)])
            chosen.append(place and Draft(surplus[i], *place))
        return chosen

    def tokens(self, text: str) -> Encoding:
        return self.tokenizer.encode(base_encoder.encodable(text), add_special_tokens=False)

    def text(self, ids: Sequence[int], context: Encoding, passage: str) -> str:
        """The text of written tokens: as it is spelled in the passage, if it is there."""
        places = (at for at in range(len(context.ids) - len(ids) + 1) if context.ids[at : at + len(ids)] == list(ids))
        if ids and (at := next(places, None)) is not None:
            return passage[context.offsets[at][0] : context.offsets[at + len(ids) - 1][1]]
        return self.tokenizer.decode(list(ids))


def prompts(asked: Sequence[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens to continue and their mask, padded on the left: (B, P) each."""
    ids, mask = (torch.from_numpy(array[:, ::-1].copy()).to(device) for array in padded([ids[::-1] for ids in asked]))
    return ids, mask


def write(
    model: GroundedForCausalLM, prompt: torch.Tensor, mask: torch.Tensor, memory: Memory, longest: int
) -> torch.Tensor:
    """What greedy search writes behind prompts: (B, P) -> (B, A)."""
    inputs = memory.inputs()
    written = model.generate(prompt, attention_mask=mask, max_new_tokens=longest, do_sample=False, **inputs)
    return written[:, prompt.shape[1] :]


def trace(
    model: GroundedForCausalLM, prompt: torch.Tensor, mask: torch.Tensor, answers: torch.Tensor, memory: Memory
) -> Traced:
    """Score answers (B, A) behind prompts (B, P). memory: of B questions, or of the one that all rows answer."""
    inputs = {name: value.expand(len(answers), *value.shape[1:]) for name, value in memory.inputs().items()}
    mask = torch.cat((mask, torch.ones_like(answers)), 1)  # (B, P + A)
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    ids = torch.cat((prompt, answers), 1)
    out = model(ids, attention_mask=mask, position_ids=positions, logits_to_keep=answers.shape[1] + 1, **inputs)
    logits = out.logits[:, :-1].float()  # (B, A, V)
    same = inputs["memory_ids"][:, None] == answers[..., None]  # (B, A, S)
    slots = out.copy[:, :-1, 1:].masked_fill(~same, float("-inf")).argmax(-1)  # (B, A)
    chances, stop = logits.gather(-1, answers[..., None])[..., 0], out.logits[:, 0, SEP].float()
    return Traced(chances, slots.masked_fill(~same.any(-1), -1), logits.argmax(-1) == answers, stop)


def likelihoods(
    model: GroundedForCausalLM, asked: Sequence[list[int]], answers: Sequence[tuple[int, list[int]]], memory: Memory
) -> list[tuple[float, bool]]:
    """The log-probability of each answer (number of its question, tokens), and whether greedy search writes it."""
    if not answers:
        return []
    owner = torch.tensor([i for i, _ in answers], device=model.device)
    ids, known = (torch.from_numpy(array).to(model.device) for array in padded([tokens for _, tokens in answers]))
    traced = trace(model, *(values[owner] for values in prompts(asked, model.device)), ids, memory.of(owner))
    greedy = (traced.greedy | (known == 0)).all(1)
    return list(zip((traced.chances * known).sum(1).tolist(), greedy.tolist(), strict=True))


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
