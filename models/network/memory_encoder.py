"""Blocks of evidence as memory, which the decoder's cross-attention and its copy attention read.

The encoder's lower layers see a block alone, so that their states can be cached. Its upper layers see the block with
the question ("live"; DeFormer, arXiv 2005.00697), or again the block alone ("cached"; LUMEN, arXiv 2301.10448, compares
the cost of both). Added to the word vectors are, in tables, embeddings of row and column and the mean word vector of
the column's header (TAPAS, arXiv 2004.02349); on pages, embeddings of the sides of a word's box (LayoutLM, arXiv
1912.13318). The patches of a picture follow its words, their features in the place of word vectors (LLaVA, arXiv
2304.08485). The upper layers also get exact match codes (models.reader.exact_match) and have experts
(models.network.experts).

The encoder exists twice: this one can be trained; models.reader.encoder_graph computes the same in int8 without torch,
from the same state dict. tests/models/reader/test_shipped_weights.py holds them equal.

Legend: N blocks, T tokens of a block, Q tokens of the question, W width of the encoder; B memories, S slots of one,
L cross layers, G key-value heads, D width of a head, P width of the pointer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from models.common.torchvision_ops import ensure_operators

ensure_operators()

from transformers import BertModel  # noqa: E402
from transformers.masking_utils import create_bidirectional_mask  # noqa: E402
from transformers.models.bert.modeling_bert import BertAttention  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaRMSNorm  # noqa: E402

from models.network.config import GroundedConfig  # noqa: E402
from models.network.experts import ExpertLayer, Experts, TokenRouter  # noqa: E402
from models.network.soft_prompts import Prefix, Prompt  # noqa: E402
from models.reader.coordinates import COLUMNS, HEADER, PLACES, ROWS, SIDES  # noqa: E402
from models.reader.exact_match import CODES  # noqa: E402
from models.reader.image_patches import WIDTH  # noqa: E402
from models.reader.sequences import BLOCK_POSITION, PATCH  # noqa: E402


@dataclass(frozen=True, slots=True)
class Memory:
    """Plain tensors, so that `generate()` expands and passes them on as any other input."""

    memory_kv: torch.Tensor  # (B, L, 2, G, S, D): keys and values of each cross layer
    memory_keys: torch.Tensor  # (B, S, P): keys of the copy attention
    memory_ids: torch.Tensor  # (B, S) long: the token in each slot
    memory_mask: torch.Tensor  # (B, S) bool: slots that may be read
    memory_bias: torch.Tensor | None = None  # (B, S): added to the scores of both attentions

    def inputs(self) -> dict[str, torch.Tensor]:
        """Keyword arguments of GroundedForCausalLM.forward() and generate()."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}

    def of(self, questions: torch.Tensor) -> Memory:
        """The memories of the questions with these numbers, which may repeat."""
        return Memory(**{name: value[questions] for name, value in self.inputs().items()})

    def alone(self, question: int) -> Memory:
        """The memory of one question, without the slots that may not be read, on the CPU."""
        there = self.memory_mask[question].nonzero()[:, 0]
        kv = self.memory_kv[question : question + 1, ..., there, :].cpu()
        bias = None if self.memory_bias is None else self.memory_bias[question : question + 1, there].cpu()
        slots = (self.memory_keys, self.memory_ids, self.memory_mask)
        return Memory(kv, *(values[question : question + 1, there].cpu() for values in slots), bias)

    def gather(self, place: torch.Tensor, questions: int, blocks: int) -> Memory:
        """Memories of N single blocks joined by question, of at most `blocks` blocks each; S becomes blocks * S.

        place (N,): question * blocks + number of the block among the question's. Slots of missing blocks are masked.
        """

        def spread(values: torch.Tensor) -> torch.Tensor:
            whole = values.new_zeros(questions * blocks, *values.shape[1:])
            return whole.index_copy(0, place, values).view(questions, blocks, *values.shape[1:])

        kv = spread(self.memory_kv).permute(0, 2, 3, 4, 1, 5, 6).flatten(4, 5)  # (B, L, 2, G, K * S, D)
        bias = None if self.memory_bias is None else spread(self.memory_bias).flatten(1, 2)
        slots = (self.memory_keys, self.memory_ids, self.memory_mask)
        return Memory(kv, *(spread(values).flatten(1, 2) for values in slots), bias)


class GridEmbeddings(nn.Module):
    """Embeddings of a token's coordinates, which are added to its word vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(ROWS, width, padding_idx=0)
        self.columns = nn.Embedding(COLUMNS, width, padding_idx=0)
        self.header = nn.Linear(width, width, bias=False)
        self.sides = nn.Embedding((PLACES - 2) * SIDES, width, padding_idx=0)

    def forward(self, words: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """words (N, T, W), grid (N, T, PLACES) -> (N, T, W), 0 outside of tables and pages."""
        row, column, *sides = grid.unbind(-1)  # (N, T) each
        at = F.one_hot(column, COLUMNS).to(words.dtype)  # (N, T, COLUMNS)
        heading = at * ((row == HEADER) & (column > 0))[..., None]
        means = heading.transpose(1, 2) @ words / heading.sum(1).clamp_min(1)[..., None]  # (N, COLUMNS, W)
        below = at * ((row > HEADER) & (column > 0))[..., None]
        table = self.rows(row) + self.columns(column) + self.header(below @ means)
        box = sum(self.sides(torch.where(side > 0, number * SIDES + side, 0)) for number, side in enumerate(sides))
        return table + box


class Live(NamedTuple):
    """What the encoder computes of N blocks with their questions."""

    states: torch.Tensor  # (N, T, W)
    spans: torch.Tensor  # (N, 1 + T, 2): logits of start and end, at "not in this block" and at each token
    judged: torch.Tensor  # (N, 2): logits of answerable and evidence
    through: torch.Tensor  # (N, Q + T, layers): 1 where a token went through the feed-forward network, else 0


class MemoryEncoder(nn.Module):
    """A BERT that is cut in two, and heads that find and judge an answer in a block."""

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        self.config = config.memory_config
        self.cached_layers = config.memory_cached_layers
        self.bert = BertModel(self.config, add_pooling_layer=False)
        layers = self.bert.encoder.layer
        for at in range(self.cached_layers, len(layers)):
            layers[at] = ExpertLayer(self.config, layer_idx=at)
        if config.memory_heads is not None:
            for layer in layers:
                _fewer_heads(layer.attention, config.memory_heads)
        upper, size = layers[self.cached_layers :], config.memory_expert_size
        self.experts = nn.ModuleList(Experts(self.config.hidden_size, size) for _ in upper)
        self.grid = GridEmbeddings(self.config.hidden_size)
        self.patches = nn.Linear(WIDTH, self.config.hidden_size)
        self.matches = nn.Embedding(CODES, self.config.hidden_size, padding_idx=0)
        self.span = nn.Linear(self.config.hidden_size, 2)
        self.judge = nn.Linear(self.config.hidden_size, 2)  # answerable, evidence
        self.prompt: Prompt | None = None  # this and the prefix are set by adapters
        self.prefix: Prefix | None = None
        self.routers = nn.ModuleList()
        if config.memory_routed:
            self.route()

    def route(self) -> None:
        """Add routers of tokens; until they are trained that changes nothing."""
        self.routers.extend(TokenRouter(self.config.hidden_size) for _ in self.experts)

    def lower(
        self, ids: torch.Tensor, mask: torch.Tensor, grid: torch.Tensor | None = None,
        patches: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """The lower layers over each text alone: states (N, T, W).

        ids, mask (N, T): of blocks, with their grid (N, T, PLACES), or of questions, without. patches (M, WIDTH): the
        features in the places where ids are PATCH, in order. Positions of a block longer than the encoder has positions
        for start again, as Longformer's initially do (arXiv 2004.05150).
        """
        first = 0 if grid is None else BLOCK_POSITION
        room = self.config.max_position_embeddings - first
        positions = first + torch.arange(ids.shape[1], device=ids.device)[None] % room  # (1, T)
        words = self.bert.embeddings.word_embeddings(ids)  # (N, T, W)
        if patches is not None:
            projected = self.patches(patches.to(words.dtype)).to(words.dtype)
            words = words.masked_scatter((ids == PATCH)[..., None], projected)
        if grid is not None:
            words = words + self.grid(words, grid)
        segments = torch.full_like(ids, int(first > 0))
        states = self.bert.embeddings(inputs_embeds=words, token_type_ids=segments, position_ids=positions)
        attention = self._attention(states, mask)
        for layer in self.bert.encoder.layer[: self.cached_layers]:
            states = layer(states, attention)  # (N, T, W)
        return states

    def live(
        self, question: torch.Tensor, question_mask: torch.Tensor, block: torch.Tensor, block_mask: torch.Tensor,
        codes: torch.Tensor, kinds: torch.Tensor,
    ) -> Live:  # fmt: skip
        """The upper layers over question and block.

        question (N, Q, W), block (N, T, W): lower states, with masks (N, Q) and (N, T). codes (N, Q + T): of
        models.reader.exact_match. kinds (N,): BlockModality of each block. With a question that is masked whole and
        codes that are all 0, the block's states are those of `cached`.
        """
        joint = torch.cat((question, block), 1) + self.matches(codes)  # (N, Q + T, W)
        length, mask = joint.shape[1], torch.cat((question_mask, block_mask), 1)
        if self.prompt is not None:
            joint, mask = self.prompt.behind(joint, mask)
        attention, through = self._attention(joint, mask, 0 if self.prefix is None else len(self.prefix)), []
        for layer, experts, router in self._upper():
            joint, went = layer(joint, attention, kinds, experts, router, self.prefix)
            through.append(went[:, :length])
        first, states = joint[:, 0], joint[:, question.shape[1] : length]
        spans = self.span(torch.cat((first[:, None], states), 1))
        return Live(states, spans, self.judge(first), torch.stack(through, -1))

    def cached(self, block: torch.Tensor, block_mask: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """The upper layers over blocks alone: lower states (N, T, W) -> states (N, T, W)."""
        attention = self._attention(block, block_mask)
        for layer, experts, router in self._upper():
            block, _ = layer(block, attention, kinds, experts, router)
        return block

    def _upper(self) -> Iterator[tuple[ExpertLayer, Experts, TokenRouter | None]]:
        layers = self.bert.encoder.layer[self.cached_layers :]
        return zip(layers, self.experts, self.routers or [None] * len(layers), strict=True)

    def _attention(self, states: torch.Tensor, mask: torch.Tensor, before: int = 0) -> torch.Tensor | None:
        """before: number of keys before those of the states."""
        states, mask = F.pad(states, (0, 0, before, 0)), F.pad(mask, (before, 0), value=1)
        whole = create_bidirectional_mask(  # (N, 1, P + S, P + S)
            config=self.config, inputs_embeds=states, attention_mask=mask
        )
        return whole if whole is None or not before else whole[:, :, before:]


def _fewer_heads(attention: BertAttention, heads: int) -> None:
    """Give a layer so many heads, each as wide as before; they are drawn anew."""
    inner, width = attention.self, attention.output.dense.out_features
    inner.num_attention_heads, inner.all_head_size = heads, heads * inner.attention_head_size
    for name in ("query", "key", "value"):
        setattr(inner, name, nn.Linear(width, inner.all_head_size))
    attention.output.dense = nn.Linear(inner.all_head_size, width)


class MemoryProjector(nn.Module):
    """States of memory -> keys and values of the decoder's cross-attention, and keys of its copy attention."""

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        width = config.memory_config.hidden_size
        self.shape = (len(config.cross_attention_layers), 2, config.num_key_value_heads, config.head_dim)
        self.kv = nn.Linear(width, self.shape[0] * 2 * self.shape[2] * self.shape[3], bias=False)
        self.key_norm = LlamaRMSNorm(config.head_dim, eps=config.rms_norm_eps)
        self.pointer = nn.Linear(width, config.pointer_size)
        self.before = nn.Linear(width, config.pointer_size, bias=False)

    def forward(self, states: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """states (B, S, W); before (B, S, W): the word vector of the token before each slot -> memory_kv, memory_keys.

        With the token before it in a slot's key, a decoder that has just written that token finds what follows.
        """
        b, s, _ = states.shape
        kv = self.kv(states).view(b, s, *self.shape).permute(0, 2, 3, 4, 1, 5)  # (B, L, 2, G, S, D)
        keys = self.key_norm(kv[:, :, 0])  # (B, L, G, S, D)
        return torch.stack((keys, kv[:, :, 1]), 2), self.pointer(states) + self.before(before)
