"""A grounded model of a few thousand random weights, its outputs for fixed inputs, and questions to train it on."""

from __future__ import annotations

from pathlib import Path

import torch
from qa_files import lot_rows, write_jsonl

from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.reader.coordinates import PLACES, BlockModality
from models.reader.sequences import CLS, SEP
from models.reader.windows import open_tokenizer
from models.training.prepare_data import prepare_rows
from models.training.question_batches import Questions
from models.training.question_sets import read_qa


def grounded(vocabulary: int = 97, begin: int = 1, end: int = 2) -> GroundedForCausalLM:
    """With routers. Every weight is random, biases, norms and gates too."""
    torch.manual_seed(0)
    model = GroundedForCausalLM(tiny(vocabulary, begin, end))
    model.route()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.2)
    model.memory.matches.weight.data[0] = 0  # tokens without a match get no vector
    return model.eval()


def reader() -> GroundedForCausalLM:
    """`grounded` for the vocabulary of the real tokenizer."""
    return grounded(open_tokenizer().get_vocab_size(), CLS, SEP)


@torch.no_grad()
def outputs(model: GroundedForCausalLM, code: int = 1) -> list[torch.Tensor]:
    """Its outputs for a block of each kind: encoder states without and with a question, heads, decoder logits, copies.

    code: the match code of each token, models.reader.exact_match.
    """
    generator = torch.Generator().manual_seed(1)
    asked, ids = (torch.randint(3, 97, (len(BlockModality), length), generator=generator) for length in (5, 9))
    ones, kinds = torch.ones_like, torch.arange(len(BlockModality))
    lower = model.memory.lower(ids, ones(ids), torch.zeros(*ids.shape, PLACES, dtype=torch.long))
    codes = torch.full((len(BlockModality), 14), code)
    live = model.memory.live(model.memory.lower(asked, ones(asked)), ones(asked), lower, ones(ids), codes, kinds)
    memory = model.remember(live.states, ids, ones(ids))
    written = model(asked, **memory.inputs())
    return [
        model.memory.cached(lower, ones(ids), kinds), live.states, live.spans, live.judged, written.logits,
        written.copy,
    ]


def assert_same(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def questions(folder: Path) -> Questions:
    """Sixteen questions, prepared in that folder."""
    rows = lot_rows(16)
    prepare_rows(read_qa(write_jsonl(folder / "rows.jsonl", rows)), folder)
    return Questions(folder)
