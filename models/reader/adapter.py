"""Adapters: what training on a user's own questions changes of the shipped reader. Imports no torch.

A folder holds `adapter.json` (its format, method and scale, and the digest of the weights it goes with) and
`adapter_model.safetensors`, with, by method:

    lora     the two factors of a low rank change to a matrix, named as peft names them (LoRA, arXiv 2106.09685)
    full     a weight that takes the place of one
    prompt   vectors behind question and block, `prompt` (arXiv 2104.08691)
    prefix   vectors before the keys and values of each layer, `prefix.keys`, `prefix.values` (arXiv 2101.00190)

All change the upper layers and heads of the memory encoder alone, so that cached block states stay valid.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.common.errors import WeightsError

ABOUT, WEIGHTS = "adapter.json", "adapter_model.safetensors"
FORMAT = 1
METHODS = ("lora", "prefix", "prompt", "full")
PEFT = "base_model.model."  # what peft's names begin with
FACTORS = (".lora_A.weight", ".lora_B.weight")
COMMAND = "python -m models.training.finetune"
REMEDY = f"make it again with {COMMAND}"
_LAYER = re.compile(r"memory\.bert\.encoder\.layer\.(\d+)\.")
_HEAD = re.compile(r"memory\.(span|judge|prompt$|prefix\.(keys|values)$)")


@dataclass(frozen=True, slots=True)
class Adapter:
    """scale: of the product of two factors. weights: by name in GroundedForCausalLM, factors end in FACTORS."""

    digest: str
    method: str
    scale: float
    weights: Mapping[str, np.ndarray]

    def applied(self, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A state dict with this adapter's changes to its entries; `memory.prompt` and `memory.prefix.*` are added.

        Raises WeightsError for a weight of another shape.
        """
        changed = dict(state)
        down, up = FACTORS
        for name, values in self.weights.items():
            if name.endswith(up):
                continue
            target = name.removesuffix(down) + ".weight" if name.endswith(down) else name
            added = values if target == name else self.scale * self.weights[name.removesuffix(down) + up] @ values
            if target in state and state[target].shape != added.shape:
                raise WeightsError(f"the adapter's {name} is of another model")
            if target in state or target.startswith(("memory.prompt", "memory.prefix.")):
                changed[target] = added if target == name else state[target] + added
        return changed


def open_adapter(folder: Path, base: str, cached_layers: int) -> Adapter:
    """The adapter in a folder. Raises WeightsError.

    base: digest of the weights that it must go with; cached_layers: their first layers, which it must not change.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        written, method, made_for, scale = about["format"], about["method"], about["base"], float(about["scale"])
        content = (folder / WEIGHTS).read_bytes()
        loaded = load_file(folder / WEIGHTS)
    except OSError as error:
        reason = f"{error.filename} cannot be read ({error.strerror})"
        raise WeightsError(f"{folder} holds no adapter: {reason}; make one with {COMMAND}") from error
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(f"the adapter {folder} is damaged ({error!r}): {REMEDY}") from error
    weights = {name.removeprefix(PEFT): values.astype(np.float32) for name, values in loaded.items()}
    if written != FORMAT or method not in METHODS:
        raise WeightsError(f"the adapter {folder} is in format {written}, this Folio reads {FORMAT}: {REMEDY}")
    if made_for != base:
        raise WeightsError(f"the adapter {folder} was made for the weights {made_for}, these are {base}: {REMEDY}")
    strange = [name for name in weights if not _may_change(name, cached_layers)]
    halves = {name.removesuffix(end) for name in weights for end in FACTORS if name.endswith(end)}
    strange += [half for half in halves if not all(half + end in weights for end in FACTORS)]
    if strange:
        raise WeightsError(f"the adapter {folder} is damaged: it must not hold {strange[0]}")
    if not weights:
        raise WeightsError(f"the adapter {folder} is empty")
    return Adapter(hashlib.blake2b(content, digest_size=8).hexdigest(), method, scale, weights)


def _may_change(name: str, cached_layers: int) -> bool:
    """Whether a weight is one of the heads or of the layers above the cached ones."""
    layer = _LAYER.match(name)
    return bool(_HEAD.match(name)) or (layer is not None and int(layer[1]) >= cached_layers)
