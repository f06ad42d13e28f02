"""State-space layers: Mamba-2 mixers (arXiv 2405.21060) in place of the self-attention of most decoder layers.

One layer in the middle keeps its attention (a hybrid, as Jamba, arXiv 2403.19887), and memory is read as before.
Begun from a trained transformer, all but the mixers is taken over (as arXiv 2408.15237 does). A layer caches one state
of fixed size: a token costs the same however many precede it, and cannot be taken back, so that assisted decoding
is refused.

A variant of the grounded network: it subclasses config, decoder layer, decoder and model, and is opened by its
model_type (models.systems.variants). Trained with `python -m models.systems.train --preset mamba`.
Legend: B batch, T tokens, C decoder width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from models.common.torchvision_ops import ensure_operators

ensure_operators()

from huggingface_hub.dataclasses import strict  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, Mamba2Config  # noqa: E402
from transformers import initialization as init  # noqa: E402
from transformers.cache_utils import Cache  # noqa: E402
from transformers.masking_utils import create_recurrent_attention_mask  # noqa: E402
from transformers.modeling_outputs import BaseModelOutputWithPast  # noqa: E402
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer  # noqa: E402

from models.common.errors import WeightsError  # noqa: E402
from models.network.config import GroundedConfig, settings  # noqa: E402
from models.network.cross_attention import GroundedDecoderLayer  # noqa: E402
from models.network.grounded import GroundedForCausalLM, GroundedModel  # noqa: E402

CHUNK = 64  # tokens that are computed at once, which changes the time alone
EXPAND = 2  # times the decoder's width: Mamba-2's own factor
FULL, LINEAR = "full_attention", "linear_attention"  # transformers' names of layer types


@strict
class StateSpaceConfig(GroundedConfig):
    """state_space_layers: decoder layers with a mixer; None = all but the middle one. state_size: its width."""

    model_type = "grounded_state_space"

    state_space_layers: list[int] | None = None
    state_size: int = 64

    def __post_init__(self, **kwargs: Any) -> None:
        layers = range(self.num_hidden_layers)
        if self.state_space_layers is None:
            self.state_space_layers = [at for at in layers if at != len(layers) // 2]
        super().__post_init__(**kwargs)
        # transformers chooses the cache of each layer by it
        self.layer_types = [LINEAR if at in self.state_space_layers else FULL for at in layers]

    def validate_state_space(self) -> None:
        """Part of the validation that `@strict` runs."""
        layers, chosen = self.num_hidden_layers, self.state_space_layers
        if not chosen or not set(chosen) < set(range(layers)):
            raise ValueError(f"state_space_layers {chosen}: some, but not all, of {layers} decoder layers")


class StateSpaceMixer(Mamba2Mixer):
    """Mamba-2's mixer, called as a layer calls its self-attention."""

    def __init__(self, config: StateSpaceConfig, layer_idx: int) -> None:
        width, head = config.hidden_size, config.head_dim
        super().__init__(Mamba2Config(
            hidden_size=width, expand=EXPAND, head_dim=head, num_heads=EXPAND * width // head,
            state_size=config.state_size, n_groups=1, hidden_act=config.hidden_act,
            layer_norm_epsilon=config.rms_norm_eps, chunk_size=CHUNK, num_hidden_layers=config.num_hidden_layers,
        ), layer_idx)  # fmt: skip

    def begin(self) -> None:
        """New weights, as Mamba-2 begins."""
        self.init_mamba2_weights()
        init.kaiming_uniform_(self.conv1d.weight, a=math.sqrt(5))

    def forward(
        self, hidden_states: torch.Tensor, past_key_values: Cache | None = None,
        present: torch.Tensor | None = None, **_: object,
    ) -> tuple[torch.Tensor, None]:  # fmt: skip
        """hidden_states (B, T, C); present (B, past + T): 0 for padding -> (B, T, C), and no attention weights."""
        mask = create_recurrent_attention_mask(None, hidden_states, present)  # (B, T)
        return super().forward(hidden_states, past_key_values, mask), None


class StateSpaceDecoderLayer(GroundedDecoderLayer):
    def __init__(self, config: StateSpaceConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        if layer_idx in config.state_space_layers:
            self.self_attn = StateSpaceMixer(config, layer_idx)


class StateSpaceModel(GroundedModel):
    config_class = StateSpaceConfig
    layer_class = StateSpaceDecoderLayer

    def forward(
        self, input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | dict[str, torch.Tensor] | None = None, **kwargs: object,
    ) -> BaseModelOutputWithPast:  # fmt: skip
        """As of LlamaModel. Mixers are given which tokens are there (B, past + T), not which see each other."""
        masks = attention_mask if isinstance(attention_mask, dict) else dict.fromkeys((FULL, LINEAR), attention_mask)
        return super().forward(input_ids, masks[FULL], present=masks[LINEAR], **kwargs)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, StateSpaceMixer):
            module.begin()


class StateSpaceForCausalLM(GroundedForCausalLM):
    config_class = StateSpaceConfig
    decoder_class = StateSpaceModel
    _no_split_modules = ["StateSpaceDecoderLayer"]  # noqa: RUF012 - transformers' own form
    _is_stateful = True  # transformers then refuses assisted decoding, which takes tokens back


def mixers(config: StateSpaceConfig) -> tuple[str, ...]:
    """How the names of the mixers' weights begin."""
    return tuple(f"model.layers.{at}.self_attn." for at in config.state_space_layers)


def with_state_space(model: GroundedForCausalLM) -> StateSpaceForCausalLM:
    """The same model with new mixers in all decoder layers but the middle one. Raises WeightsError for one layer."""
    if model.config.num_hidden_layers < 2:
        raise WeightsError("a decoder of one layer keeps its attention: give a model of two or more")
    made = StateSpaceForCausalLM(StateSpaceConfig.from_dict(settings(model.config)))
    shared = {name: weight for name, weight in model.state_dict().items() if not name.startswith(mixers(made.config))}
    missing, left = made.load_state_dict(shared, strict=False)
    assert not left and all(name.startswith(mixers(made.config)) for name in missing)
    return made


AutoConfig.register(StateSpaceConfig.model_type, StateSpaceConfig)
AutoModelForCausalLM.register(StateSpaceConfig, StateSpaceForCausalLM)
