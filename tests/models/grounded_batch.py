"""A batch that a tiny grounded model can learn to copy from, without a tokenizer or a prepared folder."""

from __future__ import annotations

import torch

from models.network.grounded import GroundedForCausalLM
from models.reader.coordinates import PLACES, BlockModality
from models.reader.exact_match import CODES
from models.reader.image_patches import WIDTH
from models.reader.sequences import IGNORED
from models.training.question_batches import QuestionBatch

BEGIN, END = 1, 2  # of models.network.config.tiny


def batch_of(model: GroundedForCausalLM, size: int = 6, seed: int = 0) -> QuestionBatch:
    """Questions of one word of their block of eight; the answer is the next two. The last block is a table."""
    made = torch.Generator().manual_seed(seed)
    shuffled = [torch.randperm(model.config.vocab_size - 3, generator=made)[:8] + 3 for _ in range(size)]
    words = torch.stack(shuffled)  # (N, 8)
    at = torch.randint(0, 6, (size,), generator=made)
    asked = words.gather(1, at[:, None])  # (N, 1)
    answers = words.gather(1, at[:, None] + torch.arange(1, 3))  # (N, 2)
    begin, end = torch.full((size, 1), BEGIN), torch.full((size, 1), END)
    question = torch.cat((begin, asked, end), 1)  # (N, 3)
    decoder = torch.cat((question, answers, end, torch.zeros_like(end)), 1)  # (N, 7)
    labels, slots = torch.full_like(decoder, IGNORED), torch.full_like(decoder, IGNORED)
    labels[:, 3:6], slots[:, 3:5] = decoder[:, 3:6], at[:, None] + torch.arange(1, 3)
    decoder_mask = (decoder != 0).long()
    kinds, grid = torch.full((size,), int(BlockModality.TEXT)), torch.zeros(size, 8, PLACES, dtype=torch.long)
    kinds[-1], grid[-1, :, :2] = BlockModality.TABLE, 1
    one, owner = torch.ones(size), torch.arange(size)
    codes = torch.randint(0, CODES, (size, 11), generator=made)
    return QuestionBatch(
        question, torch.ones_like(question), words, torch.ones_like(words), grid, torch.empty(0, WIDTH), kinds, codes,
        torch.ones_like(words, dtype=torch.bool), at + 2, at + 3, owner, owner, torch.tensor(1),
        torch.zeros(size, dtype=torch.bool), decoder, decoder_mask, labels, slots, one, one,
        torch.empty(0, 2, dtype=torch.long),
    )
