"""Answers of several processes that share a model's heads: those of one process."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from together import run

from models import serve
from models.answering import GroundedReader
from models.config import tiny
from models.errors import LayoutError, WeightsError
from models.grounded import GroundedForCausalLM
from models.layout import CLS, SEP
from models.memory import Memory
from models.processes import TENSOR, Layout, together
from models.tensor_parallel import share_heads
from models.windows import Passage, open_tokenizer

POOL = "The pool is heated to 28 degrees. It is open until nine in the evening."
LINES = [json.dumps({"question": "How warm is it?", "context": POOL}), "[]", json.dumps({"question": "Who?", "context": ""}),
         json.dumps({"question": "How long?", "context": POOL, "title": "Pool"}), json.dumps({"question": 3, "context": POOL})]  # fmt: skip


@pytest.fixture(scope="module", params=[False, True], ids=["llama", "normed"])
def model(request: pytest.FixtureRequest) -> GroundedForCausalLM:
    config = tiny(open_tokenizer().get_vocab_size(), CLS, SEP)
    config.query_key_norm = request.param
    torch.manual_seed(0)
    made = GroundedForCausalLM(config).eval()
    for weight in made.parameters():  # far from the small start, so that differences show
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.2)
    return made


@torch.no_grad()
def computed(model: GroundedForCausalLM) -> dict[str, Any]:
    """What one process, or each of several, makes of the lines, and what the decoder says beside memory."""
    torch.manual_seed(1)
    ids, shape = torch.randint(3, 99, (2, 9)), model.projector.shape
    memory = Memory(torch.randn(2, shape[0], 2, shape[2], 9, shape[3]), torch.randn(2, 9, model.config.pointer_size), ids, torch.ones_like(ids).bool())
    logits = model(ids[:, :5], **memory.inputs()).logits.numpy()
    return {"logits": logits, **{str(greedy): list(serve.serve(GroundedReader(model, greedy=greedy), LINES)) for greedy in (False, True)}}


def shared(models: list[GroundedForCausalLM]) -> list[dict[str, Any]]:
    """In one of the processes."""
    made = []
    with together():
        for model in models:
            share_heads(model, Layout(tensor=2).mesh()[TENSOR])
            made.append(computed(model))
    return made
