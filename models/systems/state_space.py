"""State-space layers: Mamba-2 mixers (arXiv 2405.21060) in place of the self-attention of most decoder layers.

One layer in the middle keeps its attention (a hybrid, as Jamba, arXiv 2403.19887), and memory is read as before. Begun from a trained transformer, all
but the mixers is taken over (as arXiv 2408.15237 does). What a layer keeps of the past is one state of fixed size: a token costs the same however many
stand before it, and cannot be taken back, so that assisted decoding is refused. Legend: B batch, T tokens, C decoder width.
"""

from __future__ import annotations

import math

import torch

from models.common.torchvision_ops import ensure_operators

ensure_operators()

from transformers import Mamba2Config  # noqa: E402
from transformers import initialization as init  # noqa: E402
from transformers.cache_utils import Cache  # noqa: E402
from transformers.masking_utils import create_recurrent_attention_mask  # noqa: E402
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer  # noqa: E402

from models.common.errors import WeightsError  # noqa: E402
from models.network.config import GroundedConfig  # noqa: E402
from models.network.grounded import GroundedForCausalLM  # noqa: E402

CHUNK = 64  # tokens that are computed at once, which changes the time alone


class StateSpaceMixer(Mamba2Mixer):
    """Mamba-2's mixer, called as a layer calls its self-attention."""

    def __init__(self, config: GroundedConfig, layer_idx: int) -> None:
        expand = 2
        super().__init__(Mamba2Config(
            hidden_size=config.hidden_size, expand=expand, head_dim=config.head_dim, num_heads=expand * config.hidden_size // config.head_dim,
            state_size=config.state_size, n_groups=1, hidden_act=config.hidden_act, layer_norm_epsilon=config.rms_norm_eps, chunk_size=CHUNK,
            num_hidden_layers=config.num_hidden_layers,
        ), layer_idx)  # fmt: skip

    def begin(self) -> None:
        """New weights, as Mamba-2 begins."""
        self.init_mamba2_weights()
        init.kaiming_uniform_(self.conv1d.weight, a=math.sqrt(5))

    def forward(
        self, hidden_states: torch.Tensor, past_key_values: Cache | None = None, present: torch.Tensor | None = None, **_: object
    ) -> tuple[torch.Tensor, None]:
        """hidden_states (B, T, C); present (B, past + T): 0 where a token is padding -> (B, T, C), and no attention to look at."""
        mask = create_recurrent_attention_mask(None, hidden_states, present)  # (B, T)
        return super().forward(hidden_states, past_key_values, mask), None


def mixers(config: GroundedConfig) -> tuple[str, ...]:
    """How the names of the mixers' weights begin."""
    return tuple(f"model.layers.{at}.self_attn." for at in config.state_space_layers)


def with_state_space(model: GroundedForCausalLM) -> GroundedForCausalLM:
    """The same model with new mixers in all decoder layers but the middle one. Raises WeightsError where it has no two layers."""
    layers = model.config.num_hidden_layers
    if layers < 2:
        raise WeightsError("a decoder of one layer keeps its attention: give a model of two or more")
    replaced = [at for at in range(layers) if at != layers // 2]
    made = GroundedForCausalLM(GroundedConfig.from_dict(model.config.to_dict() | {"state_space_layers": replaced}))
    kept = {name: weight for name, weight in model.state_dict().items() if not name.startswith(mixers(made.config))}
    missing, left = made.load_state_dict(kept, strict=False)
    assert not left and all(name.startswith(mixers(made.config)) for name in missing)
    return made
