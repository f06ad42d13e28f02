"""python -m models.train --preset floor --data PREPARED --out RUN: train, or go on with a run that was cut off.

PREPARED is what `python -m models.data` wrote. The same command runs on a CPU and on one CUDA GPU. RUN gets `model/` (the
weights), `log.jsonl` and `log.png`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.loop import TrainConfig, train

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from models.batches import Batch, Examples

PRESETS = {"floor": TrainConfig()}
DEV = 150  # questions of each development file that are looked at while training


@dataclass(frozen=True, slots=True)
class Epoch(Sequence):
    """The batches of one epoch, made when they are asked for."""

    examples: Examples
    order: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, at: int) -> Batch:
        return self.examples.batch(self.order[at])


def development(files: Sequence[Path]) -> Callable[[nn.Module], dict[str, float]] | None:
    """What is measured now and then: F1 and AUROC on the first questions of each file."""
    from models.evaluate import evaluate_qa, sigmoid
    from models.floor import compute
    from models.qa import read_qa
    from models.reader import Reader

    rows = {file.name.partition(".")[0]: read_qa(file)[:DEV] for file in files}

    def measure(model: nn.Module) -> dict[str, float]:
        reader, measured = Reader(compute(model)), {}
        for name, chosen in rows.items():
            report = evaluate_qa(reader, chosen, lambda finding: sigmoid(finding.answerable))
            measured |= {f"{name} F1": report.f1.value, f"{name} AUROC": report.auroc.value}
        return {name: round(value, 4) for name, value in measured.items() if value is not None}

    return measure if rows else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.train", description="Train a reader on prepared examples.")
    parser.add_argument("--preset", choices=PRESETS, required=True)
    parser.add_argument("--data", type=Path, required=True, help="what python -m models.data wrote")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run found there is gone on with")
    parser.add_argument("--dev", type=Path, nargs="*", default=[], help="files of questions to measure on while training")
    for field in fields(TrainConfig):
        flag = "--" + field.name.replace("_", "-")
        kind = {"action": "store_true"} if field.type == "bool" else {"type": {"int": int, "float": float, "str": str}[field.type]}
        parser.add_argument(flag, default=None, help=f"default {field.default}", **kind)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    from models.batches import Examples
    from models.floor import FloorReader, loss
    from models.plots import draw

    given = {field.name: value for field in fields(TrainConfig) if (value := getattr(options, field.name)) is not None}
    config = replace(PRESETS[options.preset], **given)
    examples = Examples(options.data)

    def batches(epoch: int) -> Epoch:
        return Epoch(examples, examples.order(config.tokens, config.seed, epoch))

    model = train(FloorReader.from_base(), batches, loss, config, options.out, evaluate=development(options.dev))
    model.save_pretrained(options.out / "model")
    draw(options.out / "log.jsonl", options.out / "log.png")


if __name__ == "__main__":
    main()
