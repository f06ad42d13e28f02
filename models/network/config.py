"""GroundedConfig: a Llama decoder's settings, and those of the memory that it reads."""

from __future__ import annotations

from typing import Any

from models.common import base_encoder
from models.common.torchvision_ops import ensure_operators

ensure_operators()

from huggingface_hub.dataclasses import strict  # noqa: E402
from transformers import BertConfig, LlamaConfig, PreTrainedConfig  # noqa: E402


@strict
class GroundedConfig(LlamaConfig):
    """The decoder's fields are LlamaConfig's.

    cross_attention_layers: after which decoder layers (from 0) memory is read. cross_gate: where the tanh gates of these start;
    0 = inserted into a trained decoder without changing it. cross_sink: whether a slot stands beside memory that says "nothing here".
    query_key_norm: queries and keys of the decoder are normalised by head, as in Qwen3. pointer_size: width of the copy attention.
    memory_config: the memory encoder, a BertConfig; its first memory_cached_layers layers never see the question, the others have
    memory_expert_size more channels for tables and for pages, and where it is memory_routed a router of tokens. attention_window: tokens to each
    side that a token attends to, in memory encoder and decoder, beside the first attention_globals of its text; 0 = to all (models.systems.sparse_attention).
    num_local_experts: of each decoder layer's feed-forward network, 0 = it has none (models.systems.mixture_of_experts); a token goes to num_experts_per_tok of these and
    of num_null_experts, which cost nothing. state_space_layers: decoder layers with a Mamba-2 mixer in place of self-attention (models.systems.state_space), whose
    state is state_size wide.
    memory_heads: the attention heads of the memory's layers where some were pruned; they keep their width, which a BertConfig derives from the number of heads that there were.
    """

    model_type = "grounded"
    sub_configs = {"memory_config": BertConfig}  # noqa: RUF012 - transformers' own form

    cross_attention_layers: list[int] | None = None
    cross_gate: float = 0.5
    cross_sink: bool = True
    query_key_norm: bool = False
    pointer_size: int = 128
    memory_config: dict | PreTrainedConfig | None = None
    memory_cached_layers: int = 3
    memory_expert_size: int = 128
    memory_routed: bool = False
    num_local_experts: int = 0
    num_experts_per_tok: int = 2
    num_null_experts: int = 0
    state_space_layers: list[int] | None = None
    state_size: int = 64
    attention_window: int = 0
    attention_globals: int = 0
    memory_heads: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.cross_attention_layers is None:
            self.cross_attention_layers = list(range(1, self.num_hidden_layers, 2))
        if self.memory_config is None:
            self.memory_config = BertConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        elif isinstance(self.memory_config, dict):
            self.memory_config = BertConfig(**self.memory_config)
        super().__post_init__(**kwargs)
        if self.state_space_layers:  # by which transformers chooses the cache of each layer
            self.layer_types = ["linear_attention" if at in self.state_space_layers else "full_attention" for at in range(self.num_hidden_layers)]
        if self.attention_window and self._attn_implementation is None:
            from models.systems import sparse_attention

            sparse_attention.choose(self, self.attention_window, self.attention_globals)

    def validate_memory(self) -> None:
        """Part of the validation that `@strict` runs."""
        if not all(0 <= layer < self.num_hidden_layers for layer in self.cross_attention_layers):
            raise ValueError(f"cross_attention_layers {self.cross_attention_layers}: there are {self.num_hidden_layers} decoder layers")
        if not 0 <= self.memory_cached_layers <= self.memory_config.num_hidden_layers:
            raise ValueError(f"memory_cached_layers {self.memory_cached_layers}: the memory has {self.memory_config.num_hidden_layers} layers")
        if self.memory_heads is not None and not 0 < self.memory_heads <= self.memory_config.num_attention_heads:
            raise ValueError(f"memory_heads {self.memory_heads}: a layer of the memory has {self.memory_config.num_attention_heads} heads")

    def validate_layers(self) -> None:
        if self.num_local_experts and not 1 <= self.num_experts_per_tok <= self.num_local_experts:
            raise ValueError(f"num_experts_per_tok {self.num_experts_per_tok}: there are {self.num_local_experts} experts")
        if self.state_space_layers and not set(self.state_space_layers) < set(range(self.num_hidden_layers)):
            raise ValueError(f"state_space_layers {self.state_space_layers}: some, but not all, of {self.num_hidden_layers} decoder layers")


def embedded() -> GroundedConfig:
    """The model that Folio ships: MiniLM as the memory encoder, a decoder of four layers over the same word vectors."""
    memory = BertConfig.from_pretrained(base_encoder.folder(), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return GroundedConfig(
        vocab_size=memory.vocab_size, hidden_size=memory.hidden_size, intermediate_size=1024, num_hidden_layers=4,
        num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0, bos_token_id=101, eos_token_id=102,
        tie_word_embeddings=True, memory_config=memory, memory_cached_layers=2,
    )


def tiny(vocabulary: int = 97, begin: int = 1, end: int = 2) -> GroundedConfig:
    """The same shape in the small, for tests and tries; begin, end: tokens of that vocabulary."""
    memory = BertConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48, max_position_embeddings=512,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    return GroundedConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        cross_attention_layers=[0, 2], max_position_embeddings=512, pad_token_id=0, bos_token_id=begin, eos_token_id=end, tie_word_embeddings=True,
        pointer_size=16, memory_config=memory, memory_cached_layers=2, memory_expert_size=8,
    )
