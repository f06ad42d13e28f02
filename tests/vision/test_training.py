"""Training of the image tower: augmentation, a loss that falls, a run that is resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.common.errors import DataError
from vision.tower_input import TowerConfig, pixels
from vision.training import batches, train
from vision.training.augment import augmented, on_white
from vision.training.evaluate import recalls
from vision.training.prepare import SIDE, Prepared
from vision.training.tower import load

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "black": (10, 10, 10)}


def prepare(folder: Path) -> Path:
    """Discs of four colours in every split; a text for each colour, far from the others."""
    pictures, about, texts, rng = [], [], [], np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for number in range(96):
        name = list(COLOURS)[number % 4]
        picture = np.zeros((SIDE, SIDE, 4), np.uint8)
        inside = (x - rng.integers(50, 78)) ** 2 + (y - rng.integers(50, 78)) ** 2 < rng.integers(30, 45) ** 2
        picture[inside] = (*COLOURS[name], 255)
        pictures.append(picture)
        split = "dev" if number >= 80 else "train"
        about.append({"name": f"{name}-{number}", "kind": "emoji", "split": split, "texts": [name]})
        texts.append(np.eye(384)[list(COLOURS).index(name)])
    folder.mkdir()
    np.save(folder / "pictures.npy", np.stack(pictures))
    np.save(folder / "texts.npy", np.array(texts, np.float16))
    np.save(folder / "first.npy", np.arange(97))
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def test_a_run_learns_colours_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepare(tmp_path / "data")
    monkeypatch.setattr(batches, "IMAGES", 40)
    monkeypatch.setattr("vision.tower_input.TowerConfig", lambda: TowerConfig(32, 16, 32, 1, 2, 384, 0.0))
    run = ["--data", str(data), "--out", str(tmp_path / "run"), "--learning-rate", "3e-3", "--precision", "fp32"]
    run += ["--evaluate-every", "20"]
    train.main([*run, "--epochs", "20"])
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["names recall@10"] == 1.0 and log[-1]["names among"] == 16
    tower, config = load(tmp_path / "run" / "model")
    vectors = recalls(tower, config, Prepared.open(data), "dev")
    assert vectors["names recall@10"] == 1.0 and "captions recall@10" not in vectors
    train.main([*run, "--epochs", "20"])  # done already: nothing is added
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == len(log)


def test_augmentation_differs_by_draw_and_repeats_by_seed() -> None:
    images = torch.zeros(6, SIDE, SIDE, 4, dtype=torch.uint8)
    images[:, 30:90, 30:90] = torch.tensor([200, 30, 30, 255], dtype=torch.uint8)
    monochrome = torch.tensor([True] * 3 + [False] * 3)
    torch.manual_seed(0)
    first, again = (augmented(images, monochrome, 64) for _ in range(2))
    assert first.shape == (6, 3, 64, 64) and torch.isfinite(first).all() and not torch.equal(first, again)
    torch.manual_seed(0)
    assert torch.equal(augmented(images, monochrome, 64), first)


def test_evaluation_and_embedding_preprocess_alike() -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(0, 255, (8, 8, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    square = np.concatenate([smooth, np.full((SIDE, SIDE, 1), 255, np.uint8)], 2)
    inputs = on_white(torch.from_numpy(square[None]), 64)[0].numpy()
    assert np.abs(inputs - pixels(Image.fromarray(smooth), 64)).mean() < 0.05


def test_no_data_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run python -m vision\.training\.prepare"):
        Prepared.open(tmp_path)
    assert TowerConfig().size % TowerConfig().patch == 0
