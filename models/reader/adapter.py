"""Adapters: what a user's own questions change of the shipped reader. Imports no torch.

A folder holds `adapter.json` (what it is of, and of which weights), and `adapter_model.safetensors`: the two factors of a low rank change to a matrix,
named as peft names them (LoRA, arXiv 2106.09685), or a weight that takes the place of one; vectors that stand before question and block (`prompt`, arXiv 2104.08691), or
before the keys and values of each layer (`prefix.keys`, `prefix.values`, arXiv 2101.00190). All of the upper layers and heads of the memory encoder, so that what is kept of blocks stays right.
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
_LAYER = re.compile(r"memory\.bert\.encoder\.layer\.(\d+)\.")
_HEAD = re.compile(r"memory\.(span|judge|prompt$|prefix\.(keys|values)$)")


@dataclass(frozen=True, slots=True)
class Adapter:
    """scale: of the product of two factors; weights: by the names that they have in GroundedForCausalLM, factors with their ends."""

    digest: str
    method: str
    scale: float
    weights: Mapping[str, np.ndarray]

    def applied(self, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A state with the changes to what it has of them; `memory.prompt` and `memory.prefix.*` are added. Raises WeightsError for one that does not fit."""
        changed = dict(state)
        down, up = FACTORS
        for name, values in self.weights.items():
            if name.endswith(up):
                continue
            of = name.removesuffix(down) + ".weight" if name.endswith(down) else name
            added = values if of == name else self.scale * self.weights[name.removesuffix(down) + up] @ values
            if of in state and state[of].shape != added.shape:
                raise WeightsError(f"the adapter's {name} is of another model")
            if of in state or of.startswith(("memory.prompt", "memory.prefix.")):
                changed[of] = added if of == name else state[of] + added
        return changed


def open_adapter(folder: Path, base: str, cached_layers: int) -> Adapter:
    """The adapter in a folder, for the shipped weights of this digest, whose first layers it must leave alone. Raises WeightsError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        written, method, made_for, scale = about["format"], about["method"], about["base"], float(about["scale"])
        content = (folder / WEIGHTS).read_bytes()
        weights = {name.removeprefix(PEFT): values.astype(np.float32) for name, values in load_file(folder / WEIGHTS).items()}
    except OSError as error:
        raise WeightsError(f"{folder} holds no adapter: {error.filename} cannot be read ({error.strerror}); make one with python -m models.training.finetune") from error
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(f"the adapter {folder} is damaged ({error!r}): make it again with python -m models.training.finetune") from error
    if written != FORMAT or method not in METHODS:
        raise WeightsError(f"the adapter {folder} is in format {written}, this Folio reads {FORMAT}: make it again with python -m models.training.finetune")
    if made_for != base:
        raise WeightsError(f"the adapter {folder} was made for the weights {made_for}, these are {base}: make it again with python -m models.training.finetune")
    strange = [name for name in weights if not (_HEAD.match(name) or ((layer := _LAYER.match(name)) and int(layer[1]) >= cached_layers))]
    halves = {name.removesuffix(end) for name in weights for end in FACTORS if name.endswith(end)}
    strange += [half for half in halves if not all(half + end in weights for end in FACTORS)]
    if strange or not weights:
        raise WeightsError(f"the adapter {folder} is damaged: it must not hold {strange[0]}" if strange else f"the adapter {folder} is empty")
    return Adapter(hashlib.blake2b(content, digest_size=8).hexdigest(), method, scale, weights)
