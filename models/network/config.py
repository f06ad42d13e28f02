"""GroundedConfig: settings of a Llama decoder and of the memory that it reads. Knows no variant of models.systems."""

from __future__ import annotations

from typing import Any

from models.common import base_encoder
from models.common.torchvision_ops import ensure_operators

ensure_operators()

from huggingface_hub.dataclasses import strict  # noqa: E402
from transformers import BertConfig, LlamaConfig, PreTrainedConfig  # noqa: E402

from models.reader.sequences import CLS, PAD, SEP  # noqa: E402

WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # of a BertConfig


@strict
class GroundedConfig(LlamaConfig):
    """The decoder's fields are LlamaConfig's. A variant of the network is a subclass with a model_type of its own.

    cross_attention_layers: after which decoder layers (from 0) memory is read; None = after every second one.
    cross_gate: initial value of the tanh gates of these; 0 leaves a trained decoder unchanged.
    cross_sink: whether cross-attention has one more slot, whose value is zero: "nothing here".
    query_key_norm: RMSNorm of the decoder's queries and keys, per head, as in Qwen3.
    pointer_size: width of the copy attention.
    memory_config: the memory encoder, a BertConfig.
    memory_cached_layers: its first layers, which never see the question, so that their states can be cached.
    memory_expert_size: channels of the table expert and of the page expert in each of its other layers.
    memory_routed: whether a router of those layers decides which tokens are computed.
    memory_heads: attention heads of its layers after pruning, their width unchanged; None = as memory_config has it.
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
    memory_heads: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.cross_attention_layers is None:
            self.cross_attention_layers = list(range(1, self.num_hidden_layers, 2))
        if self.memory_config is None:
            self.memory_config = BertConfig(**WITHOUT_DROPOUT)
        elif isinstance(self.memory_config, dict):
            self.memory_config = BertConfig(**self.memory_config)
        super().__post_init__(**kwargs)

    def validate_memory(self) -> None:
        """Part of the validation that `@strict` runs."""
        layers, memory = self.num_hidden_layers, self.memory_config
        if not all(0 <= layer < layers for layer in self.cross_attention_layers):
            raise ValueError(f"cross_attention_layers {self.cross_attention_layers}: there are {layers} decoder layers")
        if not 0 <= self.memory_cached_layers <= memory.num_hidden_layers:
            cached = self.memory_cached_layers
            raise ValueError(f"memory_cached_layers {cached}: the memory encoder has {memory.num_hidden_layers} layers")
        if self.memory_heads is not None and not 0 < self.memory_heads <= memory.num_attention_heads:
            heads = memory.num_attention_heads
            raise ValueError(f"memory_heads {self.memory_heads}: a layer of the memory encoder has {heads} heads")


def settings(config: GroundedConfig) -> dict[str, Any]:
    """A configuration as keyword arguments, for another class of configuration."""
    return {name: value for name, value in config.to_dict().items() if name not in ("model_type", "architectures")}


def embedded() -> GroundedConfig:
    """The model that Folio ships: MiniLM as the memory encoder, a decoder of four layers over the same word vectors."""
    memory = BertConfig.from_pretrained(base_encoder.folder(), **WITHOUT_DROPOUT)
    return GroundedConfig(
        vocab_size=memory.vocab_size, hidden_size=memory.hidden_size, intermediate_size=1024, num_hidden_layers=4,
        num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=512,
        pad_token_id=PAD, bos_token_id=CLS, eos_token_id=SEP,
        tie_word_embeddings=True, memory_config=memory, memory_cached_layers=2,
    )  # fmt: skip


def tiny(vocabulary: int = 97, begin: int = 1, end: int = 2) -> GroundedConfig:
    """The same architecture with a few thousand weights, for tests; begin, end: tokens of that vocabulary."""
    memory = BertConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=512, **WITHOUT_DROPOUT,
    )  # fmt: skip
    return GroundedConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, cross_attention_layers=[0, 2], max_position_embeddings=512,
        pad_token_id=PAD, bos_token_id=begin, eos_token_id=end, tie_word_embeddings=True,
        pointer_size=16, memory_config=memory, memory_cached_layers=2, memory_expert_size=8,
    )  # fmt: skip
