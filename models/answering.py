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
from models.grounded import GroundedForCausalLM, GroundedOutput
from models.layout import CLS, QUESTION, SEP, TITLE, WINDOW
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
    first: int
    title: int  # tokens before the context
    tokens: list[int]
    grid: np.ndarray  # (tokens, PLACES)


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer from context token `first` to `last`, in block `block`; score: log-odds of the span head against "not here"."""

    score: float
    block: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Recalled:
    """Questions, what stands in their passages, and what was made of that; a block has `width` slots of its question's memory."""

    asked: list[list[int]]  # [CLS] question [SEP]
    contexts: list[Encoding]
    blocks: list[Block]
    memory: Memory
    live: Live
    width: int

    def places(self, question: int, slots: Sequence[int]) -> list[int | None]:
        """Which token of its context stands in each slot of a question's memory; None for what is no part of a context."""
        own = [block for block in self.blocks if block.owner == question]
        found: list[int | None] = []
        for number, offset in (divmod(slot, self.width) for slot in slots):
            inside = number < len(own) and own[number].title <= offset < len(own[number].tokens) - 1
            found.append(own[number].first + offset - own[number].title if inside else None)
        return found


class GroundedReader:
    def __init__(self, model: GroundedForCausalLM, *, greedy: bool = False) -> None:
        self._model, self._tokenizer, self._greedy = model.eval(), open_tokenizer(), greedy

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
        recalled = self.recall(pairs)
        contexts, judged = recalled.contexts, recalled.live.judged.float().cpu().numpy()
        chosen = self._written(recalled) if self._greedy else self._verified(recalled)
        findings = []
        for i, draft in enumerate(chosen):
            if draft is None:
                findings.append(NOTHING)
                continue
            offsets = contexts[i].offsets
            answerable, evidence = judged[draft.block]
            findings.append(Finding(offsets[draft.first][0], offsets[draft.last][1], draft.score, float(answerable), float(evidence)))
        return findings

    def recall(self, pairs: Sequence[tuple[str, Passage]]) -> Recalled:
        """Read the passage of each question into its memory."""
        asked = [[CLS, *self._tokens(question).ids[:QUESTION], SEP] for question, _ in pairs]
        contexts = [self._tokens(passage.text) for _, passage in pairs]
        blocks = [block for i, (_, passage) in enumerate(pairs) for block in self._blocks(i, passage, contexts[i])]
        return Recalled(asked, contexts, blocks, *self._remember(asked, blocks))

    def _blocks(self, owner: int, passage: Passage, context: Encoding) -> list[Block]:
        title = self._tokens(passage.title).ids[:TITLE]
        grid = coordinates(base.encodable(passage.text), context.offsets, passage.boxes)
        return [
            Block(owner, first, len(title) + 1, [*title, SEP, *context.ids[first : first + WINDOW], SEP], np.pad(grid[first : first + WINDOW], ((len(title) + 1, 1), (0, 0))))
            for first in starts(len(context.ids)) or [0]
        ]

    def _remember(self, asked: list[list[int]], blocks: list[Block]) -> tuple[Memory, Live, int]:
        """The memory of each question, what was found in each block, and how many slots a block has."""
        model, device = self._model, self._model.device
        owner = [block.owner for block in blocks]
        most = max(owner.count(i) for i in range(len(asked)))
        place = [block.owner * most + owner[:at].count(block.owner) for at, block in enumerate(blocks)]
        (asked_ids, asked_mask), (ids, mask) = padded(asked), padded([block.tokens for block in blocks])
        grid = np.stack([np.pad(block.grid, ((0, ids.shape[1] - len(block.grid)), (0, 0))) for block in blocks]).astype(np.int64)
        arrays = asked_ids, asked_mask, ids, mask, grid, coded_pairs(asked_ids, ids, grid, np.array(owner)), kinds_of(grid)
        question_ids, question_mask, block_ids, block_mask, places, coded, sorts = (torch.from_numpy(array).to(device) for array in arrays)
        owned = torch.tensor(owner, device=device)
        questions = model.memory.lower(question_ids, question_mask)[owned]
        lower = model.memory.lower(block_ids, block_mask, places)
        live = model.memory.live(questions, question_mask[owned], lower, block_mask, coded, sorts)
        memory = model.remember(live.states, block_ids, block_mask).gather(torch.tensor(place, device=device), len(asked), most)
        return memory, live, block_ids.shape[1]

    def _verified(self, recalled: Recalled) -> list[Draft | None]:
        """Of each question's drafts the one of the highest score and log-probability together."""
        model, device = self._model, self._model.device
        asked, contexts, memory = recalled.asked, recalled.contexts, recalled.memory
        spans = recalled.live.spans.float().cpu().numpy()
        drafts = [drafted(recalled.blocks, spans, i) for i in range(len(asked))]
        rows = [(i, draft) for i, mine in enumerate(drafts) for draft in mine]
        if not rows:
            return [None] * len(asked)
        said = [[*contexts[i].ids[draft.first : draft.last + 1], SEP] for i, draft in rows]
        answers, known = (torch.from_numpy(array).to(device) for array in padded(said))
        owner = torch.tensor([i for i, _ in rows], device=device)
        prompt, mask = (values[owner] for values in prompts(asked, device))
        out, _ = told(model, prompt, mask, answers, memory.of(owner))
        best: list[tuple[float, Draft] | None] = [None] * len(asked)
        for (i, draft), chance in zip(rows, chances(out, answers, known), strict=True):
            total = draft.score + chance
            if best[i] is None or total > best[i][0]:
                best[i] = total, draft
        return [pair and pair[1] for pair in best]

    def _written(self, recalled: Recalled) -> list[Draft | None]:
        """What the decoder writes by greedy search: from the first to the last slot that it copies from in the block of the first one.

        None where it writes nothing, or copies nothing of a context.
        """
        model, blocks, width = self._model, recalled.blocks, recalled.width
        prompt, mask = prompts(recalled.asked, model.device)
        written = model.generate(prompt, attention_mask=mask, max_new_tokens=LONGEST, do_sample=False, **recalled.memory.inputs())
        new = written[:, prompt.shape[1] :]  # (B, A)
        out, slots = told(model, prompt, mask, new, recalled.memory)
        surplus = (out.logits[:, 0].gather(-1, new[:, :1])[:, 0] - out.logits[:, 0, SEP]).tolist()
        chosen: list[Draft | None] = []
        for i, (tokens, mine) in enumerate(zip(new.tolist(), slots.tolist(), strict=True)):
            length = next((at for at, token in enumerate(tokens) if token in (SEP, model.config.pad_token_id)), len(tokens))
            own = [at for at, block in enumerate(blocks) if block.owner == i]
            number = mine[0] // width
            if not length or number >= len(own):
                chosen.append(None)
                continue
            placed = recalled.places(i, mine[:length])
            there = [at for at, slot in zip(placed, mine, strict=False) if at is not None and slot // width == number]
            chosen.append(Draft(surplus[i], own[number], min(there), max(there)) if there else None)
        return chosen

    def _tokens(self, text: str) -> Encoding:
        return self._tokenizer.encode(base.encodable(text), add_special_tokens=False)


def prompts(asked: Sequence[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and their mask, padded on the left: (B, Q) each, to write behind."""
    ids, mask = (torch.from_numpy(array[:, ::-1].copy()).to(device) for array in padded([ids[::-1] for ids in asked]))
    return ids, mask


def told(model: GroundedForCausalLM, prompt: torch.Tensor, mask: torch.Tensor, answers: torch.Tensor, memory: Memory) -> tuple[GroundedOutput, torch.Tensor]:
    """What the model makes of answers (B, A) behind their prompts (B, Q): its output from the prompt's last token on (B, A + 1), and the slot that
    each token is most likely copied from (B, A).
    """
    mask = torch.cat((mask, torch.ones_like(answers)), 1)
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    out = model(input_ids=torch.cat((prompt, answers), 1), attention_mask=mask, position_ids=positions, logits_to_keep=answers.shape[1] + 1, **memory.inputs())
    same = memory.memory_ids[:, None] == answers[..., None]  # (B, A, S)
    return out, out.copy[:, :-1, 1:].masked_fill(~same, float("-inf")).argmax(-1)


def chances(out: GroundedOutput, answers: torch.Tensor, known: torch.Tensor) -> list[float]:
    """The log-probability of each of the answers (B, A) that `told` was asked about, padded where not `known`."""
    return (out.logits[:, :-1].gather(-1, answers[..., None])[..., 0].float() * known).sum(1).tolist()


def drafted(blocks: Sequence[Block], spans: np.ndarray, question: int) -> list[Draft]:
    """The DRAFTS best answers of a question, each once, best first. spans: (N, 1 + T, 2), models.memory.Live."""
    found: dict[tuple[int, int], Draft] = {}
    for number, block in enumerate(blocks):
        length = len(block.tokens) - block.title - 1  # of the context
        if block.owner != question or not length:
            continue
        logits = spans[number, 1 + block.title : 1 + block.title + length] - spans[number, 0]
        for score, first, last in best_spans(logits, 0, length, DRAFTS):
            draft = Draft(score, number, block.first + first, block.first + last)
            key = draft.first, draft.last
            if key not in found or found[key].score < draft.score:
                found[key] = draft
    return sorted(found.values(), key=lambda draft: -draft.score)[:DRAFTS]
