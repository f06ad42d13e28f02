from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.common.errors import WeightsError
from models.systems.random_checkpoints import save_clip, save_siglip, tower_difference
from vision import encoder
from vision.encoder import EmbeddedTower, open_image_embedder
from vision.errors import ImageModelError
from vision.tower_input import TowerConfig, pixels, square
from vision.training.tower import embed, load, make, save

TINY = TowerConfig(size=32, width=32, layers=2, heads=2, output=24)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tower = make(TINY)
    tower.train()
    tower(torch.randn(8, 3, 32, 32) + 1)  # so that the batch norms have running statistics
    save(tower, TINY, tmp_path / "tower")
    return tmp_path / "tower"


def pictures(count: int = 5) -> list[Image.Image]:
    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 255, (30 + 7 * at, 60 - 5 * at, 3), np.uint8)) for at in range(count)]


def test_the_graph_computes_what_torch_does(saved: Path) -> None:
    tower, config = load(saved)
    expected = embed(tower, torch.from_numpy(np.stack([pixels(one, config.size) for one in pictures()])))
    found = EmbeddedTower(saved).encode_images(pictures())
    assert found.dtype == np.float32 and np.allclose(found, expected, atol=1e-4)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.allclose(EmbeddedTower(saved).encode_images(pictures()[2:3]), found[2:3], atol=1e-5)  # batch or alone
    assert EmbeddedTower(saved).encode_images([]).shape == (0, 24)


def test_a_picture_is_fitted_on_white() -> None:
    wide = square(Image.new("RGB", (80, 20), "red"), 32)
    assert wide.size == (32, 32) and wide.getpixel((16, 16)) == (255, 0, 0, 255) and wide.getpixel((16, 2))[3] == 0
    blank = pixels(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), 32)
    white = pixels(Image.new("RGB", (500, 40), "white"), 32)
    assert np.allclose(blank, white, atol=1e-5)


def test_damaged_weights_are_named(saved: Path, tmp_path: Path) -> None:
    (saved / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes()[:-100])
    for door in (lambda: load(saved), lambda: EmbeddedTower(saved).encode_images(pictures())):
        with pytest.raises(WeightsError, match="tower"):
            door()
    with pytest.raises(WeightsError, match="holds no image tower"):
        EmbeddedTower(tmp_path / "nowhere")


def test_the_shipped_tower_shares_the_space_of_the_text_embedder() -> None:
    from models.common.minilm import MiniLM

    tower = open_image_embedder()
    assert tower.name == encoder.NAME and tower.dimension == MiniLM.dimension
    assert tower.encode_texts(["a wheel"]).shape == (1, tower.dimension)


def test_any_open_clip_model_in_a_folder(tmp_path: Path) -> None:
    import json

    import open_clip
    from safetensors.torch import save_file

    config = {
        "embed_dim": 16, "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    folder = tmp_path / "clip"
    folder.mkdir()
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    settings = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    opened = open_image_embedder(str(folder))
    vectors = opened.encode_images(pictures())
    assert vectors.shape == (5, 16) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert opened.encode_texts(["a wheel", "a gate"]).shape == (2, 16)
    assert open_image_embedder(str(folder)).fingerprint == opened.fingerprint


@pytest.mark.parametrize("save_checkpoint", [save_clip, save_siglip])
def test_transformers_towers_embed_as_its_own_class(tmp_path: Path, save_checkpoint: Callable[[Path], tuple]) -> None:
    model, processor = save_checkpoint(tmp_path)
    embedder = open_image_embedder(str(tmp_path))
    assert isinstance(embedder, encoder.TransformersTowers)
    assert tower_difference(embedder, model, processor) < 1e-6
    (tmp_path / "preprocessor_config.json").unlink(missing_ok=True)
    (tmp_path / "processor_config.json").unlink(missing_ok=True)
    with pytest.raises(ImageModelError, match="cannot open the image model"):
        open_image_embedder(str(tmp_path))


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for name in ("ViT-B-32/no-such-weights", str(tmp_path / "nothing")):
        with pytest.raises(ImageModelError, match="cannot open the image model"):
            open_image_embedder(name)


def test_patches_come_row_by_row_from_the_top_left() -> None:
    features = np.zeros((1, 49, 2), np.float32)
    features[0, :, 0] = 1
    features[0, 6, 1] = 7.0  # the upper right of 7 x 7
    pooled = encoder.pooled_patches(features)
    assert pooled.shape == (1, 16, 2) and pooled[0, 3, 1] > 1 and not np.delete(pooled[0, :, 1], 3).any()
    assert np.allclose(pooled[0, :, 0], 1 / np.hypot(1, 7 / 49), atol=1e-3)
