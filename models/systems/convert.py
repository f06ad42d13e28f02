"""python -m models.systems.convert CHECKPOINT OUT: a trained language model as the decoder of a GroundedForCausalLM.

CHECKPOINT is a folder as transformers saves it (one file or shards): Llama (SmolLM2 too), Qwen2, Qwen3, or Mllama's
language model with its cross-attention layers. Added are a memory encoder (MiniLM's weights; for Mllama an untrained
one of its width) and, where there are none, cross-attention layers with closed gates, so that without memory the
logits remain those of the source. Not supported: attention in sliding windows.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from models.common import base_encoder, command_line
from models.common.checkpoint import new_folder
from models.common.errors import WeightsError
from models.common.torchvision_ops import ensure_operators
from models.network.baseline_reader import BaselineReader
from models.network.config import GroundedConfig
from models.network.grounded import GroundedForCausalLM

ensure_operators()

from transformers import (  # noqa: E402
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    MllamaForCausalLM,
    MllamaForConditionalGeneration,
    PreTrainedConfig,
)

State = dict[str, torch.Tensor]
TOWERS = ("clip", "siglip", "siglip2")  # families of image towers, see vision.encoder
VISION = ("model.vision_model.", "model.multi_modal_projector.")  # prefixes of Mllama's weights that are left out
NEW = ("memory.", "projector.", "copy.")  # prefixes of the grounded model's weights that no source has
SAME = (  # settings that both configurations call alike
    "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "hidden_act", "rms_norm_eps",
    "max_position_embeddings", "rope_parameters", "tie_word_embeddings", "bos_token_id", "eos_token_id",
    "pad_token_id", "vocab_size", "attention_bias", "mlp_bias",
)  # fmt: skip
MLLAMA_NAMES = {  # of the weights of a cross-attention layer -> ours
    "input_layernorm.weight": "norm.weight",
    "cross_attn.q_proj.weight": "q_proj.weight",
    "cross_attn.o_proj.weight": "o_proj.weight",
    "post_attention_layernorm.weight": "mlp_norm.weight",
    "cross_attn_attn_gate": "attention_gate",
    "cross_attn_mlp_gate": "mlp_gate",
}
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.*)")


def _settings(config: PreTrainedConfig, layers: int, **more: Any) -> GroundedConfig:
    same = {name: getattr(config, name) for name in SAME if hasattr(config, name)}
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return GroundedConfig(**same, num_hidden_layers=layers, head_dim=head, **more)


def _plain(config: PreTrainedConfig, state: State) -> tuple[GroundedConfig, State]:
    """Llama, and families that differ from it in biases or norms of self-attention alone. Raises WeightsError."""
    if getattr(config, "use_sliding_window", False):
        raise WeightsError(
            "this checkpoint attends in sliding windows, which the decoder does not: it would not say the same"
        )
    biased = "model.layers.0.self_attn.q_proj.bias" in state
    made = _settings(
        config, config.num_hidden_layers, cross_gate=0.0,
        query_key_norm="model.layers.0.self_attn.q_norm.weight" in state,
        memory_config=BertConfig.from_pretrained(base_encoder.folder()),
    )  # fmt: skip
    made.attention_bias = biased
    if biased:  # Qwen2 has biases of queries, keys and values, and none of the output
        names = [f"model.layers.{at}.self_attn.o_proj.bias" for at in range(config.num_hidden_layers)]
        state = {name: torch.zeros(config.hidden_size) for name in names} | state
    return made, state


def _mllama(config: PreTrainedConfig, state: State) -> tuple[GroundedConfig, State]:
    """Mllama numbers its cross-attention layers among the others; here each belongs to the layer before it.

    Raises WeightsError for a cross-attention layer without a layer of its own before it.
    """
    crossed = sorted(config.cross_attention_layers)
    own = [at for at in range(config.num_hidden_layers) if at not in crossed]
    before = {at: sum(one < at for one in own) - 1 for at in crossed}
    if min(before.values(), default=0) < 0 or len(set(before.values())) < len(before):
        raise WeightsError("this Mllama has a cross layer that no other layer stands before")
    memory = BertConfig(
        hidden_size=config.hidden_size, num_hidden_layers=1, num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
    )  # fmt: skip
    made = _settings(
        config, len(own), cross_attention_layers=list(before.values()), cross_sink=False, memory_config=memory,
        memory_cached_layers=1,
    )  # fmt: skip
    new = _renumbered(state, own, before)
    for at in crossed:  # the projector has one norm of keys for all layers: each layer's scale goes to its queries
        scales = [state[f"model.layers.{at}.cross_attn.{side}_norm.weight"] for side in "qk"]
        new[f"model.layers.{before[at]}.cross_attn.query_norm.weight"] = scales[0] * scales[1]
    both = [state[f"model.layers.{at}.cross_attn.{side}_proj.weight"] for at in crossed for side in "kv"]
    new["projector.kv.weight"] = torch.cat(both)  # (L * 2 * G * D, W)
    new["projector.key_norm.weight"] = torch.ones(made.head_dim)
    words = state["model.embed_tokens.weight"]
    new["model.embed_tokens.weight"] = words[: config.vocab_size]  # the rows beyond stand for images
    return made, new


def _renumbered(state: State, own: list[int], before: Mapping[int, int]) -> State:
    """Mllama's weights by our names. own: layers with self-attention; before: each cross-attention layer -> ours."""
    new: State = {}
    for name, values in state.items():
        found = _LAYER.fullmatch(name)
        if found is None:
            new[name] = values
        elif int(found[1]) in before:
            at, rest = int(found[1]), found[2]
            if rest in MLLAMA_NAMES or rest.startswith("mlp."):
                new[f"model.layers.{before[at]}.cross_attn.{MLLAMA_NAMES.get(rest, rest)}"] = values
        else:
            new[f"model.layers.{own.index(int(found[1]))}.{found[2]}"] = values
    return new


FAMILIES: Mapping[str, Callable[[PreTrainedConfig, State], tuple[GroundedConfig, State]]] = {
    "llama": _plain, "qwen2": _plain, "qwen3": _plain, "mllama": _mllama, "mllama_text_model": _mllama,
}
# The classes of families that AutoModelForCausalLM does not know.
CLASSES = {"mllama": MllamaForConditionalGeneration, "mllama_text_model": MllamaForCausalLM}


def convert(checkpoint: Path) -> GroundedForCausalLM:
    """Raises WeightsError for an unknown family, and for weights that are missing or damaged."""
    config = _config(checkpoint)
    kind = CLASSES.get(config.model_type, AutoModelForCausalLM)
    try:
        source = kind.from_pretrained(checkpoint, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise WeightsError(f"{checkpoint} cannot be read ({str(error).splitlines()[0]})") from error
    state = {
        name.replace("model.language_model.", "model.", 1): values
        for name, values in source.state_dict().items() if not name.startswith(VISION)
    }  # fmt: skip
    family = FAMILIES[config.model_type]
    made, state = family(config.get_text_config(), state)
    model = GroundedForCausalLM(made)
    if family is _plain:
        model.begin_with(BaselineReader.from_base())
    missing, left = model.load_state_dict(state, strict=False)
    added = [name for name in missing if name.startswith(NEW) or ".cross_attn." in name or name == "lm_head.weight"]
    lacking = [name for name in missing if name not in added]
    if lacking or left:
        odd = (lacking or left)[0]
        raise WeightsError(f"{checkpoint} is not like others of {config.model_type}: {odd} has no counterpart")
    return model


def _config(checkpoint: Path) -> PreTrainedConfig:
    """Raises WeightsError."""
    try:
        kind = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{checkpoint} holds no checkpoint: its config.json cannot be read ({error})") from error
    if kind in TOWERS:
        raise WeightsError(
            f"{checkpoint} is a tower that sees pictures ({kind}): it is opened as it is, by --image-model {checkpoint}"
        )
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise WeightsError(f"{checkpoint} is of the family {kind!r}, which is not known here: there are {known}")
    return AutoConfig.from_pretrained(checkpoint, local_files_only=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.convert",
        description="A trained language model as the decoder of a grounded one.",
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path, help="the folder to write, which must not be there")
    parser.add_argument("--shard", default="2GB", metavar="SIZE", help="largest file (2GB)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with new_folder(options.out) as new:
        model = convert(options.checkpoint)
        model.save_pretrained(new, max_shard_size=options.shard)
        for file in options.checkpoint.glob("*token*"):
            shutil.copy(file, new)
    weights = sum(one.numel() for one in model.model.parameters())
    layers, crossed = model.config.num_hidden_layers, len(model.config.cross_attention_layers)
    if options.json:
        print(json.dumps({"decoder": weights, "layers": layers, "cross_layers": crossed}))
        return
    print(f"{options.out}: a decoder of {layers} layers, {crossed} of which read memory, {weights:,} weights")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
