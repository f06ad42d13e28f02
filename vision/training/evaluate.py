"""python -m vision.training.evaluate --data PREPARED --tower DIR: how often the picture of a name or a caption is among the ten nearest, from its pixels alone."""

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

DRAWN, AMONG, TOP, BATCH = ("icon", "emoji"), 1000, 10, 256


def recalls(tower: nn.Module, config: TowerConfig, prepared: Prepared, split: str) -> dict[str, float]:
    """recall@10 of names of icons and emoji among at most 1,000, of figures by description and by caption, of photographs by label."""
    figures = {}
    for name, kinds, asked in (("names", DRAWN, 0), ("descriptions", ("figure",), 0), ("captions", ("figure",), 1), ("labels", ("photo",), 0)):
        chosen = prepared.chosen(split, *kinds)[:AMONG] if name != "names" else _some(prepared.chosen(split, *kinds))
        chosen = chosen[[len(prepared.about[at]["texts"]) > asked for at in chosen]]
        if not len(chosen):
            continue
        scores = prepared.texts[prepared.first[chosen] + asked].astype(np.float32) @ embedded(tower, config, prepared, chosen).T
        texts = [prepared.about[at]["texts"][asked] for at in chosen]
        right = np.array([[one == other for other in texts] for one in texts])  # several may be called the same
        best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        figures[f"{name} recall@10"] = round(float(np.take_along_axis(right, best, 1).any(1).mean()), 4)
        figures[f"{name} among"] = len(chosen)
    return figures


def _some(chosen: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(chosen)[:AMONG])


def embedded(tower: nn.Module, config: TowerConfig, prepared: Prepared, chosen: np.ndarray) -> np.ndarray:
    """(n, output) float32, unit length."""
    import torch

    from vision.training.augment import plain
    from vision.training.tower import embed

    device = next(tower.parameters()).device
    parts = [plain(torch.from_numpy(prepared.pictures[chosen[at : at + BATCH]]).to(device), config.size) for at in range(0, len(chosen), BATCH)]
    return np.concatenate([embed(tower, part) for part in parts])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m vision.training.evaluate", description="Pictures found by their names and captions, unseen in training.")
    parser.add_argument("--data", type=Path, required=True, help="what python -m vision.training.prepare wrote")
    parser.add_argument("--tower", type=Path, required=True, help="a folder with a tower: RUN/model, or data/weights/tower")
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    from vision.training.prepare import Prepared
    from vision.training.tower import load

    figures = recalls(*load(options.tower), Prepared.open(options.data), options.split)
    print(json.dumps(figures) if options.json else "\n".join(f"{name:24} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
