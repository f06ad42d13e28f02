"""What the grounded model learns: to write the answer by copying it, to point at its very slots, and to judge each block.

CE(log P) + 0.5 pointing + 0.5 evidence + 0.5 answerable. Legend as in models.grounded; M labelled positions of a batch.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from models.grounded import LEAST, GroundedForCausalLM
from models.layout import IGNORED
from models.memory import Memory
from models.questions import QuestionBatch

POINTING, JUDGING = 0.5, 0.5


def recall(model: GroundedForCausalLM, batch: QuestionBatch, *, live: bool) -> tuple[Memory, torch.Tensor | None]:
    """The memory of a batch, and what the encoder judges of each block (N, 2) where the question is there."""
    blocks = model.memory.lower(batch.block_ids, batch.block_mask, block=True)  # (N, T, W)
    judged = None
    if live:
        questions = model.memory.lower(batch.question_ids, batch.question_mask, block=False)  # (B, Q, W)
        states, judged = model.memory.live(questions[batch.owner], batch.question_mask[batch.owner], blocks, batch.block_mask)
    else:
        states = model.memory.cached(blocks, batch.block_mask)
    memory = model.remember(states, batch.block_ids, batch.block_mask)
    return memory.gather(batch.place, len(batch.question_ids), int(batch.blocks)), judged


def loss(model: GroundedForCausalLM, batch: QuestionBatch, *, live: bool = True) -> dict[str, torch.Tensor]:
    """The parts of the loss, each a mean; `loss` is their weighted sum."""
    memory, judged = recall(model, batch, live=live)
    scores = torch.zeros_like(memory.memory_mask, dtype=torch.float32).masked_fill(~memory.memory_mask, float("-inf"))
    states = model.model(
        input_ids=batch.decoder_ids, attention_mask=batch.decoder_mask, memory_kv=memory.memory_kv, memory_scores=scores, use_cache=False
    ).last_hidden_state  # (B, A, C)
    hidden = states[:, :-1]
    row, at = (batch.labels[:, 1:] != IGNORED).nonzero(as_tuple=True)  # (M,) each
    labels, slots = batch.labels[row, at + 1], batch.slots[row, at + 1]
    copy = model.copy(hidden, memory.memory_keys, scores)[row, at]  # (M, 1 + S)
    written = -F.cross_entropy(model.lm_head(hidden[row, at]).float(), labels, reduction="none") + copy[:, 0]  # (M,)
    same = memory.memory_ids[row] == labels[:, None]  # (M, S)
    copied = (copy[:, 1:].exp() * same).sum(-1).clamp_min(LEAST).log()
    parts = {"answer": -_mean(torch.logaddexp(written, copied))}
    known = slots != IGNORED
    parts["pointing"] = _mean(F.nll_loss(copy[known], slots[known] + 1, reduction="none"))
    total = parts["answer"] + POINTING * parts["pointing"]
    if judged is not None:
        seen = batch.evidence >= 0
        parts["answerable"] = F.binary_cross_entropy_with_logits(judged[:, 0].float(), batch.answerable)
        parts["evidence"] = _mean(F.binary_cross_entropy_with_logits(judged[seen, 1].float(), batch.evidence[seen], reduction="none"))
        total = total + JUDGING * (parts["answerable"] + parts["evidence"])
    return {"loss": total, **parts}


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.sum() / max(1, values.numel())
