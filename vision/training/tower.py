"""The embedded image tower: open_clip's vision transformer, small, behind a stem of convolutions, into the space of the text embedder.

With few pictures to learn from, convolutions in the place of one large patch projection learn faster (arXiv 2106.14881).
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


def stem(width: int) -> nn.Sequential:
    """(B, 3, S, S) -> (B, width, S / 16, S / 16)."""
    channels = (3, width // 8, width // 4, width // 2, width)
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise(channels):
        layers += [nn.Conv2d(into, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.GELU()]
    return nn.Sequential(*layers, nn.Conv2d(width, width, 1))


def make(config: TowerConfig) -> VisionTransformer:
    """The tower with weights of chance: (B, 3, size, size), normalised, -> (B, output), not of unit length."""
    tower = VisionTransformer(
        config.size, config.patch, config.width, config.layers, config.heads, 4.0, output_dim=config.output, patch_dropout=config.patch_dropout, pool_type="avg",
    )
    tower.conv1 = stem(config.width)
    return tower


def save(tower: VisionTransformer, config: TowerConfig, folder: Path) -> None:
    """Weights in float16 and config.json."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().half().contiguous() for name, value in tower.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")


def load(folder: Path) -> tuple[VisionTransformer, TowerConfig]:
    """In float32, ready to embed. Raises WeightsError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = TowerConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        tower = make(config)
        wrong = tower.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()}, strict=False)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{folder} holds no image tower ({str(error).splitlines()[0]})") from error
    missing = [name for name in (*wrong.missing_keys, *wrong.unexpected_keys) if not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(f"{folder} holds no image tower: {len(missing)} weights are missing or of another model ({missing[0]}, ...)")
    return tower.eval(), config


@torch.inference_mode()
def embed(tower: nn.Module, batch: torch.Tensor) -> np.ndarray:
    """(n, 3, size, size), normalised -> (n, output) float32, unit length."""
    return nn.functional.normalize(tower(batch).float(), dim=-1).cpu().numpy()
