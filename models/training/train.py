"""python -m models.training.train --preset PRESET --data PREPARED --out RUN: train, or go on with an interrupted run.

PRESET is baseline, embedded, or tiny for a try; PREPARED is what `python -m models.training.prepare_data` wrote. The
same command runs on a CPU and on one CUDA GPU. RUN gets `model/` (the weights), `log.jsonl` and `log.png`.
Other presets and sparse attention: python -m models.systems.train.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from models.common import command_line
from models.training import attention_flags, trainer_flags
from models.training.attention_flags import Attend

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from models.training.presets import Batched, Preset, Task
    from models.training.training_loop import TrainConfig

NAMES = ("baseline", "embedded", "tiny")  # of models.training.presets, which takes a second to import
DEV = 150  # questions of each development file that are looked at while training


@dataclass(frozen=True, slots=True)
class Epoch(Sequence):
    """The batches of one epoch, made when they are asked for."""

    examples: Batched
    order: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, at: int) -> Any:
        return self.examples.batch(self.order[at])


def epochs(examples: Batched, config: TrainConfig) -> Callable[[int], Epoch]:
    """The batches of each epoch, as models.training.training_loop.train asks for them."""
    return lambda epoch: Epoch(examples, examples.order(config.tokens, config.seed, epoch))


def development(task: Task, files: Sequence[Path]) -> Callable[[nn.Module], dict[str, float]] | None:
    """What is measured now and then: F1 and AUROC on the first questions of each file."""
    from models.training.evaluate import evaluate_qa, named, sigmoid
    from models.training.question_sets import read_qa

    rows = {name: read_qa(file)[:DEV] for name, file in named(files).items()}

    def measure(model: nn.Module) -> dict[str, float]:
        reader, measured = task.reader(model), {}
        for name, chosen in rows.items():
            report = evaluate_qa(reader, chosen, lambda finding: sigmoid(finding.answerable))
            measured |= {f"{name} F1": report.f1.value, f"{name} AUROC": report.auroc.value}
        return {name: round(value, 4) for name, value in measured.items() if value is not None}

    return measure if rows else None


def parser(
    module: str = "models.training.train", presets: Sequence[str] = NAMES, attention: ModuleType = attention_flags
) -> argparse.ArgumentParser:
    """The flags of `python -m MODULE`. attention: a module with the functions of models.training.attention_flags."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Train a reader on prepared examples.")
    parser.add_argument("--preset", choices=presets, required=True)
    parser.add_argument("--data", type=Path, required=True, help="what python -m models.training.prepare_data wrote")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run found there is continued")
    start = "a trained model's folder to begin with, of this preset; embedded also begins with a baseline"
    parser.add_argument("--start", type=Path, help=start)
    parser.add_argument("--teacher", type=Path, help="a trained model's folder to learn from too, of the same preset")
    measured = "files of questions to measure on while training"
    parser.add_argument("--dev", type=Path, nargs="*", default=[], help=measured)
    attention.add(parser)
    trainer_flags.add(parser)
    return parser


def fit(task: Task, config: TrainConfig, out: Path, dev: Sequence[Path] = ()) -> None:
    """Train to the end; writes the model, the log and its plot to the run's folder. Raises DataError, TrainError."""
    from models.training.plots import draw
    from models.training.training_loop import compile_layers, train

    if config.compile and task.teacher is not None:
        compile_layers(task.teacher)

    batches, measure = epochs(task.examples, config), development(task, dev)
    model = train(task.model, batches, task.loss, config, out, evaluate=measure, fresh=task.fresh)
    model.save_pretrained(out / "model")
    draw(out / "log.jsonl", out / "log.png")


def run(options: argparse.Namespace, presets: Mapping[str, Preset], attend: Attend | None) -> None:
    """Do what the flags of `parser` ask for. Raises DataError, TrainError, WeightsError."""
    import torch

    defaults, make = presets[options.preset]
    config = trainer_flags.given(options, defaults)
    torch.manual_seed(config.seed)  # new weights are drawn when the model is made
    task = make(options.data, options.start, options.teacher)
    if attend:
        task = replace(task, model=attend(task.model))
    fit(task, config, options.out, options.dev)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    from models.training.presets import PRESETS

    run(options, PRESETS, attention_flags.given(options))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
