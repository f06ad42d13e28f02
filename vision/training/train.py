"""python -m vision.training.train --data PREPARED --out RUN: train the image tower, or go on with a run that was cut off.

PREPARED is what `python -m vision.training.prepare` wrote. The same command runs on a CPU and on one CUDA GPU. RUN gets `model/`, `log.jsonl` and `log.png`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.common import command_line
from models.training import trainer_flags

PICTURES = 256  # in a batch


@dataclass(frozen=True, slots=True)
class Batch:
    """squares (B, S, S, 4) uint8, drawn (B,) bool, texts (B, d)."""

    squares: object
    drawn: object
    texts: object

    def to(self, device: object) -> Batch:
        return Batch(*(part.to(device) for part in (self.squares, self.drawn, self.texts)))


class Epoch(Sequence):
    """The batches of one epoch, made when they are asked for: each picture with one of its texts."""

    def __init__(self, prepared, seed: int, epoch: int) -> None:
        self._prepared, rng = prepared, np.random.default_rng((seed, epoch))
        chosen = rng.permutation(prepared.chosen("train"))
        first = prepared.first
        self._texts = first[chosen] + (rng.random(len(chosen)) * (first[chosen + 1] - first[chosen])).astype(int)
        self._pictures = chosen

    def __len__(self) -> int:
        return len(self._pictures) // PICTURES or 1

    def __getitem__(self, at: int) -> Batch:
        import torch

        chosen = slice(at * PICTURES, (at + 1) * PICTURES)
        pictures = self._pictures[chosen]
        drawn = [self._prepared.about[one]["kind"] == "icon" for one in pictures]
        squares, texts = self._prepared.pictures[pictures], self._prepared.texts[self._texts[chosen]].astype(np.float32)
        return Batch(torch.from_numpy(squares), torch.tensor(drawn), torch.from_numpy(texts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vision.training.train", description="Train the image tower against the text embedder.")
    parser.add_argument("--data", type=Path, required=True, help="what python -m vision.training.prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run found there is gone on with")
    trainer_flags.add(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    import torch

    from models.training.plots import draw
    from models.training.training_loop import TrainConfig, train
    from vision.tower_input import TowerConfig
    from vision.training.contrastive import Learner, loss
    from vision.training.evaluate import recalls
    from vision.training.prepare import Prepared
    from vision.training.tower import save

    config = trainer_flags.given(options, TrainConfig(epochs=26, learning_rate=1e-3, weight_decay=0.05, warmup=0.03, clip=1.0))
    torch.manual_seed(config.seed)  # new weights are drawn when the model is made
    prepared, tower = Prepared.open(options.data), TowerConfig()

    def batches(epoch: int) -> Epoch:
        return Epoch(prepared, config.seed, epoch)

    learner = Learner(tower)
    if config.compile:
        learner.compile_tower()
    model = train(learner, batches, loss, config, options.out, evaluate=lambda trained: recalls(trained.tower, tower, prepared, "dev"))
    save(model.tower, tower, options.out / "model")
    draw(options.out / "log.jsonl", options.out / "log.png")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
