"""GroundedForCausalLM: a Llama decoder that reads memory through gated cross-attention and writes by copying from it.

A transformers model like any other: `generate()` and what builds on it work unchanged, memory being keyword arguments.
Without memory it is an ordinary causal language model. Knows no tokenizer and no variant of models.systems.
Legend: B batch, T decoder tokens, C decoder width, S slots of memory, P pointer width, V vocabulary.

The decoder exists twice: this one can be trained; models.reader.decoder_graph is an ONNX graph in int8, so that
answering imports no torch. tests/models/reader/test_ablation.py holds their log-probabilities equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from models.common.torchvision_ops import ensure_operators

ensure_operators()

from transformers import AutoConfig, AutoModelForCausalLM, LlamaForCausalLM, LlamaModel  # noqa: E402
from transformers.cache_utils import Cache  # noqa: E402
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast  # noqa: E402

from models.network.baseline_reader import BaselineReader  # noqa: E402
from models.network.config import GroundedConfig  # noqa: E402
from models.network.cross_attention import GroundedDecoderLayer  # noqa: E402
from models.network.memory_encoder import Memory, MemoryEncoder, MemoryProjector  # noqa: E402
from models.reader import shipped_weights  # noqa: E402
from models.reader.sequences import IGNORED, LEAST  # noqa: E402


class GroundedModel(LlamaModel):
    config_class = GroundedConfig
    layer_class = GroundedDecoderLayer

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList(self.layer_class(config, at) for at in range(config.num_hidden_layers))
        self.post_init()


class CopyAttention(nn.Module):
    """Attention from the next token to the slots of memory it may be copied from; the first slot is "nowhere".

    A pointer sentinel mixture (arXiv 1609.07843): with g the share of "nowhere", P = g softmax(lm) + (1 - g) copy.
    """

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        self.query = nn.Linear(config.hidden_size, config.pointer_size)
        self.sentinel = nn.Linear(config.hidden_size, 1)

    def forward(self, hidden: torch.Tensor, keys: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """hidden (B, T, C); keys (B, S, P); scores (B, S), -inf for closed slots -> log shares (B, T, 1 + S)."""
        query = self.query(hidden) * keys.shape[-1] ** -0.5  # (B, T, P)
        pointed = query.float() @ keys.float().transpose(1, 2) + scores[:, None]  # (B, T, S)
        return torch.cat((self.sentinel(hidden).float(), pointed), -1).log_softmax(-1)


@dataclass
class GroundedOutput(CausalLMOutputWithPast):
    """With memory `logits` are log-probabilities of the mixture; `copy` are log shares of nowhere and of each slot."""

    copy: torch.Tensor | None = None  # (B, T, 1 + S)


class GroundedForCausalLM(LlamaForCausalLM):
    """A variant is a subclass with its own `config_class` and `decoder_class` (models.common.checkpoint.open_model)."""

    config_class = GroundedConfig
    decoder_class = GroundedModel
    _no_split_modules = ["GroundedDecoderLayer"]  # noqa: RUF012 - transformers' own form

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__(config)
        self.model = self.decoder_class(config)
        self.memory = MemoryEncoder(config)
        self.projector = MemoryProjector(config)
        self.copy = CopyAttention(config)
        if config.tie_word_embeddings and config.hidden_size == config.memory_config.hidden_size:
            tied = "memory.bert.embeddings.word_embeddings.weight"
            self._tied_weights_keys = {**self._tied_weights_keys, tied: "model.embed_tokens.weight"}
        self.post_init()

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path | None = None, *arguments: Any, **options: Any
    ) -> Any:
        """As of any transformers model; a folder may also hold weights as Folio ships them.

        Raises WeightsError for shipped weights that are damaged.
        """
        folder = pretrained_model_name_or_path and Path(pretrained_model_name_or_path)
        if not folder or not shipped_weights.is_shipped(folder):
            return super().from_pretrained(pretrained_model_name_or_path, *arguments, **options)
        config = options.pop("config", None) or cls.config_class.from_pretrained(folder)
        if hasattr(config, shipped_weights.OWN):  # what is saved again is a plain model
            delattr(config, shipped_weights.OWN)
        state = shipped_weights.state(shipped_weights.describe(folder))
        weights = {name: torch.from_numpy(values) for name, values in state.items()}
        return super().from_pretrained(None, *arguments, config=config, state_dict=weights, **options)

    def begin_with(self, reader: BaselineReader) -> None:
        """Take over a trained baseline's encoder and heads.

        Its word vectors are the base encoder's: frozen, they need not be shipped again.
        """
        self.memory.bert.load_state_dict(reader.encoder.state_dict())
        self.memory.span.load_state_dict(reader.span.state_dict())
        self.memory.judge.load_state_dict(reader.judge.state_dict())
        nn.init.zeros_(self.memory.matches.weight)  # the baseline was trained without them, and without boxes
        nn.init.zeros_(self.memory.grid.sides.weight)
        nn.init.eye_(self.memory.grid.header.weight)  # adds a header's words to those of its cells

    def route(self) -> None:
        """Have tokens routed in the memory encoder, see MemoryEncoder.route."""
        self.memory.route()
        self.config.memory_routed = True

    def remember(
        self, states: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, bias: torch.Tensor | None = None
    ) -> Memory:
        """The memories of N questions with one block each; see Memory.gather. states (N, T, W), ids, mask (N, T)."""
        vectors = self.memory.bert.embeddings.word_embeddings(ids)  # (N, T, W)
        before = F.pad(vectors[:, :-1], (0, 0, 1, 0))
        kv, keys = self.projector(states, before)
        return Memory(kv, keys, ids, mask.bool(), bias)

    def forward(  # with transformers' own argument names
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        *,
        memory_kv: torch.Tensor | None = None,
        memory_keys: torch.Tensor | None = None,
        memory_ids: torch.Tensor | None = None,
        memory_mask: torch.Tensor | None = None,
        memory_bias: torch.Tensor | None = None,
        **kwargs: object,
    ) -> GroundedOutput:
        """As LlamaForCausalLM; memory_*: fields of a Memory. labels (B, T) are shifted here, IGNORED adds no loss."""
        scores = None if memory_mask is None else _scores(memory_mask, memory_bias)
        outputs = self.model(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
            past_key_values=past_key_values, inputs_embeds=inputs_embeds, use_cache=use_cache,
            memory_kv=memory_kv, memory_scores=scores, **kwargs,
        )  # fmt: skip
        wanted = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        hidden = outputs.last_hidden_state[:, wanted]  # (B, T, C)
        logits, copy = self.lm_head(hidden), None
        if memory_kv is not None:
            copy = self.copy(hidden, memory_keys, scores)
            logits = mixture(logits, copy, memory_ids)
        loss = None
        if labels is not None:
            predicted, wanted = logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten()
            loss = F.cross_entropy(predicted, wanted, ignore_index=IGNORED)
        return GroundedOutput(
            loss=loss, logits=logits, past_key_values=outputs.past_key_values, hidden_states=outputs.hidden_states,
            attentions=outputs.attentions, copy=copy,
        )  # fmt: skip

    def decoder_losses(self, outputs: BaseModelOutputWithPast, modalities: torch.Tensor) -> dict[str, torch.Tensor]:
        """What a variant's decoder is trained on beside the answer, by name; here nothing.

        outputs: of `self.model`. modalities (B * T,): BlockModality of the memory that each token reads, -1 for none.
        """
        return {}


def mixture(logits: torch.Tensor, copy: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """log(g softmax(logits) + the copy shares, summed by token): (B, T, V), (B, T, 1 + S), (B, S) -> (B, T, V)."""
    written = logits.float().log_softmax(-1) + copy[..., :1]  # (B, T, V)
    shares = copy[..., 1:].exp()  # (B, T, S)
    copied = torch.zeros_like(written).scatter_add(-1, ids[:, None].expand_as(shares), shares)
    return torch.logaddexp(written, copied.clamp_min(LEAST).log())


def _scores(mask: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """What is added to the attention to each slot: (B, S) float32."""
    scores = torch.zeros(mask.shape, device=mask.device) if bias is None else bias.float()
    return scores.masked_fill(~mask.bool(), float("-inf"))


AutoConfig.register(GroundedConfig.model_type, GroundedConfig)
AutoModelForCausalLM.register(GroundedConfig, GroundedForCausalLM)
