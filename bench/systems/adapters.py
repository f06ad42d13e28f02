"""LoRA, prefix and prompt tuning on medical questions: F1 before and after, and the share of trained weights.

The shipped reader was not trained on answers to such questions that are copied word for word.
"""

from __future__ import annotations

import gzip
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.systems.common import Row
from models.training.finetune import RATES, finetune
from models.training.training_loop import TrainConfig

QUESTIONS = 200  # of medquad's training file, a fifth of whose contexts are held out
METHODS = ("lora", "prefix", "prompt")


def measure(data: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with gzip.open(data / "qa" / "train" / "medquad.jsonl.gz", "rt", encoding="utf-8") as lines:
            (folder / "questions.jsonl").write_text("".join(itertools.islice(lines, QUESTIONS)), encoding="utf-8")
        for method in METHODS:
            config = TrainConfig(epochs=1, tokens=2048, learning_rate=RATES[method])
            made = finetune(folder / "questions.jsonl", folder / method, method, config)
            before, after = (round(made[when]["f1"], 3) for when in ("before", "after"))
            yield Row("adapters", method, {
                "share of the weights": made["share"], "F1 before": before, "F1 after": after,
                "questions": made["held"],
            })  # fmt: skip
