"""SDPA, which takes a flash kernel where there is one, beside eager attention: milliseconds and peak memory of reading, and of a step of training."""

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
LONG = 2048  # tokens of one text read whole


def learned(data: Path) -> QuestionBatch:
    with tempfile.TemporaryDirectory() as folder:
        prepare_rows(read_qa(data / "qa" / "train" / "squad2_dev.jsonl.gz")[:ROWS], Path(folder), 0)
        questions = Questions(Path(folder))
        return questions.batch(questions.order(TOKENS, 0, 0)[0])


def cost(data: Path, way: str, what: str) -> dict[str, float]:
    model = grounded()
    model.config._attn_implementation = way
    text = document(data, LONG)
    batch = learned(data) if "batch" in what else None
    seen, plain, kind = torch.ones_like(text), torch.zeros(*text.shape, PLACES, dtype=torch.long), torch.zeros(1, dtype=torch.long)
    def act() -> None:
        with torch.set_grad_enabled("backward" in what):
            made = loss(model, batch)["loss"] if batch else model.memory.cached(model.memory.lower(text, seen, plain), seen, kind).mean()
            if made.requires_grad:
                made.backward()

    return {"MiB": round(peak(act)), "ms": round(1000 * fastest(act))}


def measure(data: Path) -> Iterator[Row]:
    for what in ("batch, forward", "batch, forward and backward", f"{LONG} tokens, forward", f"{LONG} tokens, forward and backward"):
        for way in WAYS:
            yield Row("flash attention", f"{way}: {what}", fresh(cost, data, way, what))
