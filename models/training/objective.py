"""The losses of the baseline reader and of the grounded model.

The grounded model learns to write the answer by copying it, to point at its slots, to find it in each block and to
judge that, to compute no more than it is allowed, and what a teacher says. Its loss is the sum of these parts, weighted
by SHARES:

    answer      CE of log P of the answer's tokens           answerable, evidence   BCE of both judgements
    pointing    CE of the slots that are copied from         contrast    pairwise ranking (RankNet) of a question's
    balance     of a decoder with experts, decoder_losses                log-odds over those of its near miss
    span        CE of the answer's start and end             computed    share of tokens computed beyond ALLOWED
    taught      KL of a teacher's start and end, BCE of its judgements (after arXiv 1503.02531)

Legend as in models.network.grounded; M labelled positions of a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Live, Memory
from models.reader.coordinates import BlockModality
from models.reader.sequences import IGNORED, LEAST
from models.training.batches import Batch
from models.training.question_batches import QuestionBatch

if TYPE_CHECKING:
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from models.network.baseline_reader import BaselineReader

SHARES = {
    "answer": 0.5, "pointing": 0.5, "balance": 0.01, "span": 1.0, "answerable": 0.5, "evidence": 0.5, "contrast": 0.5,
    "computed": 1.0, "taught": 0.5,
}  # fmt: skip
ALLOWED = 0.4  # of a block's and a question's tokens, over all layers: those that go through a feed-forward network
LOWEST = -1e4  # of a logit: so that a place that is not allowed has no share, and 0 * log 0 is 0
PADDING = -1  # of `modalities`: no token


def average(values: torch.Tensor) -> torch.Tensor:
    """The mean; 0 of no values."""
    return values.sum() / max(1, values.numel())


def baseline_loss(model: BaselineReader, batch: Batch) -> dict[str, torch.Tensor]:
    """The parts of the baseline's loss, each a mean over what is known; `loss` is their weighted sum."""
    spans, judged = model(batch.input_ids, batch.token_type_ids, batch.attention_mask)
    spans = spans.float().masked_fill(~batch.span_mask[..., None], float("-inf"))  # (B, S, 2)
    places = torch.stack((batch.start, batch.end), 1)  # (B, 2)
    known, rated = places >= 0, batch.evidence >= 0
    bce = F.binary_cross_entropy_with_logits
    span = average(F.cross_entropy(spans.transpose(1, 2)[known], places[known], reduction="none"))
    answerable = bce(judged[:, 0].float(), batch.answerable)
    evidence = average(bce(judged[rated, 1].float(), batch.evidence[rated], reduction="none"))
    total = span + 0.5 * answerable + 0.5 * evidence
    return {"loss": total, "span": span, "answerable": answerable, "evidence": evidence}


def recall(model: GroundedForCausalLM, batch: QuestionBatch) -> tuple[Memory, Live]:
    """The memory of a batch, and what the encoder makes of each block."""
    live = read(model, batch)
    memory = model.remember(live.states, batch.block_ids, batch.block_mask)
    return memory.gather(batch.place, len(batch.question_ids), int(batch.blocks)), live


def read(model: GroundedForCausalLM, batch: QuestionBatch) -> Live:
    """What the encoder makes of each block. Those of `batch.cached` are read without their question."""
    blocks = model.memory.lower(batch.block_ids, batch.block_mask, batch.grid, batch.patches)  # (N, T, W)
    questions = model.memory.lower(batch.question_ids, batch.question_mask)  # (B, Q, W)
    seen = batch.question_mask[batch.owner] * ~batch.cached[:, None]  # (N, Q)
    return model.memory.live(questions[batch.owner], seen, blocks, batch.block_mask, batch.codes, batch.kinds)


def reading(model: GroundedForCausalLM, batch: QuestionBatch) -> dict[str, torch.Tensor]:
    """As `loss`, of what is read and judged alone: the decoder learns nothing."""
    parts = _reading(read(model, batch), batch)
    return {"loss": sum(SHARES[name] * part for name, part in parts.items()), **parts}


def writing(model: GroundedForCausalLM, batch: QuestionBatch) -> dict[str, torch.Tensor]:
    """As `loss`, of what the decoder writes alone: the heads of memory learn nothing."""
    memory, _ = recall(model, batch)
    parts = written(model, batch, memory, decoded(model, batch, memory))
    return {"loss": sum(SHARES[name] * part for name, part in parts.items()), **parts}


def loss(
    model: GroundedForCausalLM, batch: QuestionBatch, teacher: GroundedForCausalLM | None = None
) -> dict[str, torch.Tensor]:
    """The parts of the loss, each a mean; `loss` is their weighted sum.

    `through`, the share of tokens computed, is reported beside them where the model routes tokens.
    """
    memory, live = recall(model, batch)
    parts = written(model, batch, memory, decoded(model, batch, memory)) | judging(model, live, batch)
    reported = {"through": parts.pop("through")} if model.memory.routers else {}
    if teacher is not None:
        with torch.no_grad():
            theirs = read(teacher, batch)
        parts["taught"] = _taught(live, theirs, batch)
    return {"loss": sum(SHARES[name] * part for name, part in parts.items()), **parts, **reported}


def judging(model: GroundedForCausalLM, live: Live, batch: QuestionBatch) -> dict[str, torch.Tensor]:
    """The parts of the loss that are the memory encoder's; where it routes tokens, `through` too, which is no part."""
    if not model.memory.routers:
        return _reading(live, batch)
    through = _through(live, batch)
    return _reading(live, batch) | {"computed": (through - ALLOWED).clamp_min(0), "through": through}


def _through(live: Live, batch: QuestionBatch) -> torch.Tensor:
    """Over the tokens that are there."""
    seen = torch.cat((batch.question_mask[batch.owner] * ~batch.cached[:, None], batch.block_mask), 1)  # (N, Q + T)
    return live.through[seen.bool()].mean()


def _taught(live: Live, theirs: Live, batch: QuestionBatch) -> torch.Tensor:
    """Over the blocks that are read with their question, but for pages."""
    chosen = ~batch.cached & (batch.kinds != BlockModality.PAGE)
    allowed = F.pad(batch.context_mask, (1, 0), value=True)[chosen][..., None]  # (N, 1 + T, 1)
    mine, wanted = (
        one.spans[chosen].float().masked_fill(~allowed, LOWEST).log_softmax(1) for one in (live, theirs)
    )  # (N, 1 + T, 2) each
    spans = F.kl_div(mine, wanted, reduction="none", log_target=True).sum(1)  # (N, 2)
    target = theirs.judged[chosen].float().sigmoid()
    judged = F.binary_cross_entropy_with_logits(live.judged[chosen].float(), target, reduction="none")
    return average(spans) + average(judged)


def decoded(
    model: GroundedForCausalLM, batch: QuestionBatch, memory: Memory, before: torch.Tensor | None = None
) -> BaseModelOutputWithPast:
    """The decoder's states of the answers over their memory.

    before (B, A, C): the states of its first layers, where `model` has only the others.
    """
    words = {"input_ids": batch.decoder_ids} if before is None else {"inputs_embeds": before}
    scores = _scores(memory)
    return model.model(
        **words, attention_mask=batch.decoder_mask, memory_kv=memory.memory_kv, memory_scores=scores, use_cache=False
    )


def _scores(memory: Memory) -> torch.Tensor:
    zeros = torch.zeros_like(memory.memory_mask, dtype=torch.float32)
    return zeros.masked_fill(~memory.memory_mask, float("-inf"))  # (B, S)


def modalities(batch: QuestionBatch) -> torch.Tensor:
    """The modality of the memory that each decoder token of a batch reads, PADDING where there is no token: (B * A,).

    Of a memory with several that of pages counts before that of tables, and that before text.
    """
    kinds = batch.kinds.new_zeros(len(batch.question_ids)).scatter_reduce(0, batch.owner, batch.kinds, "amax")  # (B,)
    return torch.where(batch.decoder_mask.bool(), kinds[:, None], PADDING).flatten()


def written(
    model: GroundedForCausalLM, batch: QuestionBatch, memory: Memory, outputs: BaseModelOutputWithPast
) -> dict[str, torch.Tensor]:
    """The parts of the loss that are the decoder's."""
    hidden = outputs.last_hidden_state[:, :-1]  # (B, A - 1, C)
    row, at = (batch.labels[:, 1:] != IGNORED).nonzero(as_tuple=True)  # (M,) each
    labels, slots = batch.labels[row, at + 1], batch.slots[row, at + 1]
    copy = model.copy(hidden, memory.memory_keys, _scores(memory))[row, at]  # (M, 1 + S)
    logits = model.lm_head(hidden[row, at]).float()  # (M, V)
    chance = -F.cross_entropy(logits, labels, reduction="none") + copy[:, 0]  # (M,)
    same = memory.memory_ids[row] == labels[:, None]  # (M, S)
    copied = (copy[:, 1:].exp() * same).sum(-1).clamp_min(LEAST).log()
    known = slots != IGNORED
    pointing = F.nll_loss(copy[known], slots[known] + 1, reduction="none")
    parts = {"answer": -average(torch.logaddexp(chance, copied)), "pointing": average(pointing)}
    return parts | model.decoder_losses(outputs, modalities(batch))


def _reading(live: Live, batch: QuestionBatch) -> dict[str, torch.Tensor]:
    """Over the blocks that are read with their question."""
    asked = ~batch.cached
    allowed = F.pad(batch.context_mask, (1, 0), value=True)[..., None]  # (N, 1 + T, 1)
    spans = live.spans.float().masked_fill(~allowed, float("-inf"))
    places = torch.stack((batch.start, batch.end), 1)  # (N, 2)
    known = (places >= 0) & asked[:, None]
    span = F.cross_entropy(spans.transpose(1, 2)[known], places[known], reduction="none")
    judged = live.judged.float()
    bce = F.binary_cross_entropy_with_logits
    answerable = bce(judged[asked, 0], batch.answerable[asked], reduction="none")
    rated = (batch.evidence >= 0) & asked
    evidence = bce(judged[rated, 1], batch.evidence[rated], reduction="none")
    both = batch.pairs[asked[batch.pairs].all(1)]  # (pairs, 2)
    contrast = F.softplus(judged[both[:, 1], 0] - judged[both[:, 0], 0])
    parts = {"span": span, "answerable": answerable, "evidence": evidence, "contrast": contrast}
    return {name: average(values) for name, values in parts.items()}
