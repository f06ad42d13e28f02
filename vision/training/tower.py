"""The built-in image tower in torch: a small vision transformer of open_clip behind a stem of convolutions.

It embeds images into the space of the text embedder. With few images to learn from, a stem of convolutions learns
faster than one large patch projection (arXiv 2106.14881).
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.common.errors import WeightsError
from models.common.torchvision_ops import ensure_operators
from vision.tower_input import TowerConfig

ensure_operators()
from open_clip.transformer import VisionTransformer  # noqa: E402  (open_clip imports torchvision)

NOT_SAVED = "num_batches_tracked"  # counters of the batch norms, which only a momentum of None would need


def stem(width: int) -> nn.Sequential:
    """Four strided convolutions and a 1 x 1 convolution: (B, 3, S, S) -> (B, width, S / 16, S / 16)."""
    channels = (3, width // 8, width // 4, width // 2, width)
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise(channels):
        layers += [nn.Conv2d(into, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.GELU()]
    return nn.Sequential(*layers, nn.Conv2d(width, width, 1))


def make(config: TowerConfig) -> VisionTransformer:
    """The tower with random weights: (B, 3, size, size), normalised -> (B, output), not of unit length."""
    tower = VisionTransformer(
        config.size, config.patch, config.width, config.layers, config.heads, mlp_ratio=4.0,
        output_dim=config.output, patch_dropout=config.patch_dropout, pool_type="avg",
    )  # fmt: skip
    tower.conv1 = stem(config.width)
    return tower


def save(tower: VisionTransformer, config: TowerConfig, folder: Path) -> None:
    """Write model.safetensors in float16 and config.json."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value for name, value in tower.state_dict().items() if not name.endswith(NOT_SAVED)}
    halves = {name: value.detach().cpu().half().contiguous() for name, value in weights.items()}
    save_file(halves, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")


def load(folder: Path) -> tuple[VisionTransformer, TowerConfig]:
    """The tower of a folder that `save` wrote, in float32 and eval mode. Raises WeightsError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = TowerConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        tower = make(config)
        weights = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
        unmatched = tower.load_state_dict(weights, strict=False)  # strict below, but for NOT_SAVED
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{folder} holds no image tower ({str(error).splitlines()[0]})") from error
    wrong = [name for name in (*unmatched.missing_keys, *unmatched.unexpected_keys) if not name.endswith(NOT_SAVED)]
    if wrong:
        reason = f"{len(wrong)} weights are missing or of another model ({wrong[0]}, ...)"
        raise WeightsError(f"{folder} holds no image tower: {reason}")
    return tower.eval(), config


@torch.inference_mode()
def embed(tower: nn.Module, batch: torch.Tensor) -> np.ndarray:
    """Embeddings of a batch: (n, 3, size, size), normalised -> (n, output) float32, unit length."""
    return nn.functional.normalize(tower(batch).float(), dim=-1).cpu().numpy()
