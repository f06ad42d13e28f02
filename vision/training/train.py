"""Train the image tower against the frozen text embedder, or resume an interrupted run.

    python -m vision.training.train --data PREPARED --out RUN [--compile]

PREPARED is what `python -m vision.training.prepare` wrote. RUN gets `model/`, `log.jsonl` and `log.png`. The same
command runs on a CPU and on one CUDA GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.common import command_line
from models.training import trainer_flags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vision.training.train", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="what python -m vision.training.prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run found there is resumed")
    trainer_flags.add(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    import torch

    from models.training.plots import draw
    from models.training.training_loop import TrainConfig, train
    from vision.tower_input import TowerConfig
    from vision.training.batches import Epoch
    from vision.training.contrastive import ContrastiveTower, loss
    from vision.training.evaluate import recalls
    from vision.training.prepare import Prepared
    from vision.training.tower import save

    defaults = TrainConfig(epochs=26, learning_rate=1e-3, weight_decay=0.05, warmup=0.03, clip=1.0)
    config = trainer_flags.given(options, defaults)
    torch.manual_seed(config.seed)  # before the model is made, which draws its weights
    prepared, tower = Prepared.open(options.data), TowerConfig()

    def batches(epoch: int) -> Epoch:
        return Epoch(prepared, config.seed, epoch)

    def evaluate(model: ContrastiveTower) -> dict[str, float]:
        return recalls(model.tower, tower, prepared, "dev")

    model = ContrastiveTower(tower)
    if config.compile:
        model.compile_tower()
    model = train(model, batches, loss, config, options.out, evaluate=evaluate)
    save(model.tower, tower, options.out / "model")
    draw(options.out / "log.jsonl", options.out / "log.png")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
