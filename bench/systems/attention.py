"""SDPA, with a flash kernel where torch has one, against eager attention: milliseconds and peak memory.

Measured are encoding and a step of training, on a batch of windows and on one long text.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from bench.systems.common import Row, document, fastest, fresh, grounded, peak
from models.reader.coordinates import PLACES
from models.training.objective import loss
from models.training.prepare_data import prepare_rows
from models.training.question_batches import QuestionBatch, Questions
from models.training.question_sets import read_qa

WAYS = ("eager", "sdpa")
ROWS, TOKENS = 400, 3072  # questions of a training file, tokens of a batch of them
LONG = 2048  # tokens of one text that is encoded whole


def training_batch(data: Path) -> QuestionBatch:
    with tempfile.TemporaryDirectory() as folder:
        prepare_rows(read_qa(data / "qa" / "train" / "squad2_dev.jsonl.gz")[:ROWS], Path(folder), 0)
        questions = Questions(Path(folder))
        return questions.batch(questions.order(TOKENS, 0, 0)[0])


def cost(data: Path, way: str, what: str) -> dict[str, float]:
    model = grounded()
    model.config._attn_implementation = way
    batch = training_batch(data) if "batch" in what else None
    text = document(data, LONG)
    mask, kind = torch.ones_like(text), torch.zeros(1, dtype=torch.long)
    grid = torch.zeros(*text.shape, PLACES, dtype=torch.long)

    def encode() -> torch.Tensor:
        return model.memory.cached(model.memory.lower(text, mask, grid), mask, kind).mean()

    def act() -> None:
        with torch.set_grad_enabled("backward" in what):
            result = loss(model, batch)["loss"] if batch else encode()
            if result.requires_grad:
                result.backward()

    return {"MiB": round(peak(act)), "ms": round(1000 * fastest(act))}


def measure(data: Path) -> Iterator[Row]:
    for inputs in ("batch", f"{LONG} tokens"):
        for what in (f"{inputs}, forward", f"{inputs}, forward and backward"):
            for way in WAYS:
                yield Row("flash attention", f"{way}: {what}", fresh(cost, data, way, what))
