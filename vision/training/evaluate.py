"""Recall@10 of held-out images by their names and captions, from pixels alone.

    python -m vision.training.evaluate --data PREPARED --tower DIR [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.common import command_line

if TYPE_CHECKING:
    from torch import nn

    from vision.tower_input import TowerConfig
    from vision.training.prepare import Prepared

AMONG = 1000  # images are searched at most
TOP = 10
BATCH = 256
TASKS = (  # name of the task, kinds of images, which of their texts is the query
    ("names", ("icon", "emoji"), 0), ("descriptions", ("figure",), 0), ("captions", ("figure",), 1),
    ("labels", ("photo",), 0),
)  # fmt: skip


def recalls(tower: nn.Module, config: TowerConfig, prepared: Prepared, split: str) -> dict[str, float]:
    """Recall@10 of each of TASKS that the split has images for, and among how many images. split: dev or test."""
    figures = {}
    for name, kinds, number in TASKS:
        chosen = prepared.chosen(split, *kinds)
        chosen = _sampled(chosen) if name == "names" else chosen[:AMONG]
        chosen = chosen[[len(prepared.about[at]["texts"]) > number for at in chosen]]
        if not len(chosen):
            continue
        queries = prepared.texts[prepared.first[chosen] + number].astype(np.float32)  # (n, d)
        scores = queries @ embedded(tower, config, prepared, chosen).T  # (n, n)
        texts = [prepared.about[at]["texts"][number] for at in chosen]
        right = np.array([[one == other for other in texts] for one in texts])  # several images may share a name
        best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        figures[f"{name} recall@10"] = round(float(np.take_along_axis(right, best, 1).any(1).mean()), 4)
        figures[f"{name} among"] = len(chosen)
    return figures


def _sampled(chosen: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(chosen)[:AMONG])


def embedded(tower: nn.Module, config: TowerConfig, prepared: Prepared, chosen: np.ndarray) -> np.ndarray:
    """Embeddings of the chosen images: (n, output) float32, unit length."""
    import torch

    from vision.training.augment import on_white
    from vision.training.tower import embed

    device = next(tower.parameters()).device
    batches = (prepared.pictures[chosen[at : at + BATCH]] for at in range(0, len(chosen), BATCH))  # (B, S, S, 4)
    inputs = (on_white(torch.from_numpy(batch).to(device), config.size) for batch in batches)
    return np.concatenate([embed(tower, batch) for batch in inputs])


def main(arguments: Sequence[str] | None = None) -> None:
    program = "python -m vision.training.evaluate"
    parser = argparse.ArgumentParser(prog=program, description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="what python -m vision.training.prepare wrote")
    parser.add_argument("--tower", type=Path, required=True, help="a tower's folder: RUN/model or data/weights/tower")
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    from vision.training.prepare import Prepared
    from vision.training.tower import load

    figures = recalls(*load(options.tower), Prepared.open(options.data), options.split)
    print(json.dumps(figures) if options.json else "\n".join(f"{name:24} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
