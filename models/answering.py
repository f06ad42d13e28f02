"""Reads passages with the grounded model: the answer that it writes, and the slots of memory that each token was copied from.

Gives the same findings as models.reader.Reader, so that one evaluation serves both. Legend as in models.grounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from models import base
from models.grid import coordinates
from models.grounded import GroundedForCausalLM
from models.layout import CLS, QUESTION, SEP, TITLE, WINDOW
from models.memory import Memory
from models.questions import padded
from models.reader import BATCH, NOTHING, Finding, Passage, open_tokenizer, starts

LONGEST = 48  # tokens of an answer

class GroundedReader:
    def __init__(self, model: GroundedForCausalLM) -> None:
        self._model, self._tokenizer = model.eval(), open_tokenizer()

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
        asked = [[CLS, *self._tokens(question).ids[:QUESTION], SEP] for question, _ in pairs]
        titles = [self._tokens(passage.title).ids[:TITLE] for _, passage in pairs]
        contexts = [self._tokens(passage.text) for _, passage in pairs]
        places = [coordinates(base.encodable(passage.text), context.offsets) for context, (_, passage) in zip(contexts, pairs, strict=True)]
        windows = [(i, number, first) for i, context in enumerate(contexts) for number, first in enumerate(starts(len(context.ids)) or [0])]
        most = max(number for _, number, _ in windows) + 1
        blocks = [[*titles[i], SEP, *contexts[i].ids[first : first + WINDOW], SEP] for i, _, first in windows]
        grids = [np.pad(places[i][first : first + WINDOW], ((len(titles[i]) + 1, 1), (0, 0))) for i, _, first in windows]
        memory, judged, width = self._remember(asked, blocks, grids, [i for i, _, _ in windows], [i * most + number for i, number, _ in windows], most)
        tokens, slots, surplus = self._write(asked, memory)
        findings = []
        for i in range(len(pairs)):
            own = {number: (first, judged[at]) for at, (owner, number, first) in enumerate(windows) if owner == i}
            findings.append(_finding(slots[i][: len(tokens[i])], surplus[i], own, width, len(titles[i]) + 1, contexts[i].offsets))
        return findings

    def _remember(
        self, asked: list[list[int]], blocks: list[list[int]], grids: list[np.ndarray], owner: list[int], place: list[int], most: int
    ) -> tuple[Memory, np.ndarray, int]:
        model, device = self._model, self._model.device
        question_ids, question_mask = (torch.from_numpy(array).to(device) for array in padded(asked))
        block_ids, block_mask = (torch.from_numpy(array).to(device) for array in padded(blocks))
        grid = np.stack([np.pad(one, ((0, block_ids.shape[1] - len(one)), (0, 0))) for one in grids])
        owned = torch.tensor(owner, device=device)
        questions = model.memory.lower(question_ids, question_mask)[owned]
        lower = model.memory.lower(block_ids, block_mask, torch.from_numpy(grid).long().to(device))
        live = model.memory.live(questions, question_mask[owned], lower, block_mask)
        memory = model.remember(live.states, block_ids, block_mask).gather(torch.tensor(place, device=device), len(asked), most)
        return memory, live.judged.float().cpu().numpy(), block_ids.shape[1]

    def _write(self, asked: list[list[int]], memory: Memory) -> tuple[list[list[int]], np.ndarray, np.ndarray]:
        """Answers by greedy search (without the end), the slot behind each of their tokens, and log P(answer) - log P(no answer)."""
        model, device = self._model, self._model.device
        prompt, mask = (torch.from_numpy(array[:, ::-1].copy()).to(device) for array in padded([ids[::-1] for ids in asked]))
        written = model.generate(prompt, attention_mask=mask, max_new_tokens=LONGEST, do_sample=False, **memory.inputs())
        new = written[:, prompt.shape[1] :]  # (B, A)
        mask = torch.cat((mask, torch.ones_like(new)), 1)
        positions = (mask.cumsum(1) - 1).clamp_min(0)
        out = model(input_ids=written, attention_mask=mask, position_ids=positions, logits_to_keep=new.shape[1] + 1, **memory.inputs())
        steps = out.logits[:, :-1].log_softmax(-1)  # (B, A, V)
        chances = steps.gather(-1, new[..., None])[..., 0]  # (B, A)
        tokens = [[token for token in row if token not in (SEP, model.config.pad_token_id)] for row in new.tolist()]
        lengths = torch.tensor([len(row) for row in tokens], device=device)
        counted = torch.arange(new.shape[1], device=device)[None] <= lengths[:, None]  # the answer and its [SEP]
        surplus = (chances * counted).sum(1) - steps[:, 0, SEP]
        same = memory.memory_ids[:, None] == new[..., None]  # (B, A, S)
        slots = out.copy[:, :-1, 1:].masked_fill(~same, float("-inf")).argmax(-1)  # (B, A)
        return tokens, slots.cpu().numpy(), surplus.float().cpu().numpy()

    def _tokens(self, text: str):
        return self._tokenizer.encode(base.encodable(text), add_special_tokens=False)


def _finding(
    slots: np.ndarray, surplus: float, own: dict[int, tuple[int, np.ndarray]], width: int, title: int, offsets: list[tuple[int, int]]
) -> Finding:
    """The characters from the first to the last slot that lie in the block where the first token was copied from.

    own: number of a block -> (first context token of its window, what was judged of it); width: slots of a block.
    """
    if not len(slots) or int(slots[0]) // width not in own:
        best = max(own.values(), key=lambda pair: pair[1][0])[1]
        return Finding(0, 0, float(surplus), float(best[0]), float(best[1]))
    first, judged = own[int(slots[0]) // width]
    there = [int(slot) % width - title + first for slot in slots if slot // width == slots[0] // width]
    there = [at for at in there if 0 <= at < len(offsets)]
    if not there:
        return Finding(0, 0, float(surplus), float(judged[0]), float(judged[1]))
    return Finding(offsets[min(there)][0], offsets[max(there)][1], float(surplus), float(judged[0]), float(judged[1]))
