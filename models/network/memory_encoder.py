"""Blocks of evidence as memory: what the decoder's cross-attention and its copy attention read.

The encoder's lower layers see a block alone, so that their states can be kept; its upper layers see the block with the question
("live"; DeFormer, arXiv 2005.00697), or again the block alone ("cached"; LUMEN, arXiv 2301.10448, has the cost of each).
Tokens of tables carry embeddings of their row and column and the mean word vector of their column's header (rows and columns after
TAPAS, arXiv 2004.02349), words on pages those of the sides of their box (LayoutLM, arXiv 1912.13318). The patches of a picture stand behind its words,
their features in the place of word vectors (LLaVA, arXiv 2304.08485). The upper layers also see which
tokens stand in the question (models.reader.exact_match), and have experts for tables and for pages and null experts (models.network.experts). Legend: N blocks, T tokens of a block, Q tokens of the question, W width of the encoder; B memories,
S slots of a memory, L cross layers, G key-value heads, D width of a head, P width of the pointer.
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
    """Plain tensors, so that `generate()` expands, hands on and shares them as it does any other input."""

    memory_kv: torch.Tensor  # (B, L, 2, G, S, D): keys and values of each cross layer
    memory_keys: torch.Tensor  # (B, S, P): keys of the copy attention
    memory_ids: torch.Tensor  # (B, S) long: the token in each slot
    memory_mask: torch.Tensor  # (B, S) bool: slots that may be read
    memory_bias: torch.Tensor | None = None  # (B, S): added to the scores of both attentions

    def inputs(self) -> dict[str, torch.Tensor]:
        """Keyword arguments of GroundedForCausalLM.forward() and generate()."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}

    def of(self, questions: torch.Tensor) -> Memory:
        """Those of the questions with these numbers, as often as they are named."""
        return Memory(**{name: value[questions] for name, value in self.inputs().items()})

    def alone(self, question: int) -> Memory:
        """The memory of one question, without the slots that may not be read, on the CPU."""
        there = self.memory_mask[question].nonzero()[:, 0]
        kv = self.memory_kv[question : question + 1, ..., there, :].cpu()
        bias = None if self.memory_bias is None else self.memory_bias[question : question + 1, there].cpu()
        keys, ids, mask = (values[question : question + 1, there].cpu() for values in (self.memory_keys, self.memory_ids, self.memory_mask))
        return Memory(kv, keys, ids, mask, bias)

    def gather(self, place: torch.Tensor, questions: int, blocks: int) -> Memory:
        """Memories of N single blocks as those of `questions`, of at most `blocks` blocks each; S becomes blocks * S.

        place (N,): question * blocks + number of the block among the question's. Slots of blocks that are not there are masked.
        """

        def spread(values: torch.Tensor) -> torch.Tensor:
            whole = values.new_zeros(questions * blocks, *values.shape[1:])
            return whole.index_copy(0, place, values).view(questions, blocks, *values.shape[1:])

        kv = spread(self.memory_kv).permute(0, 2, 3, 4, 1, 5, 6).flatten(4, 5)  # (B, L, 2, G, K * S, D)
        bias = None if self.memory_bias is None else spread(self.memory_bias).flatten(1, 2)
        keys, ids, mask = (spread(values).flatten(1, 2) for values in (self.memory_keys, self.memory_ids, self.memory_mask))
        return Memory(kv, keys, ids, mask, bias)


class GridEmbeddings(nn.Module):
    """What is added to the word vector of a token that stands in a table, or of a word on a page."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(ROWS, width, padding_idx=0)
        self.columns = nn.Embedding(COLUMNS, width, padding_idx=0)
        self.header = nn.Linear(width, width, bias=False)
        self.sides = nn.Embedding((PLACES - 2) * SIDES, width, padding_idx=0)

    def forward(self, words: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """words (N, T, W), grid (N, T, PLACES), see models.reader.coordinates -> (N, T, W), 0 outside of tables and off pages."""
        row, column, *sides = grid.unbind(-1)  # (N, T) each
        at = F.one_hot(column, COLUMNS).to(words.dtype)  # (N, T, COLUMNS)
        heading = at * ((row == HEADER) & (column > 0))[..., None]
        means = heading.transpose(1, 2) @ words / heading.sum(1).clamp_min(1)[..., None]  # (N, COLUMNS, W)
        below = at * ((row > HEADER) & (column > 0))[..., None]
        table = self.rows(row) + self.columns(column) + self.header(below @ means)
        return table + sum(self.sides(torch.where(side > 0, number * SIDES + side, 0)) for number, side in enumerate(sides))


class Live(NamedTuple):
    """What the encoder makes of N blocks that it reads with their question."""

    states: torch.Tensor  # (N, T, W)
    spans: torch.Tensor  # (N, 1 + T, 2): logits of an answer's start and end: at "not in this block", then at each token
    judged: torch.Tensor  # (N, 2): logits of answerable and evidence
    through: torch.Tensor  # (N, Q + T, layers): 1 where a token went through the layer's feed-forward network, 0 where not


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
        self.experts = nn.ModuleList(Experts(self.config.hidden_size, config.memory_expert_size) for _ in layers[self.cached_layers :])
        self.grid = GridEmbeddings(self.config.hidden_size)
        self.patches = nn.Linear(WIDTH, self.config.hidden_size)
        self.matches = nn.Embedding(CODES, self.config.hidden_size, padding_idx=0)
        self.span = nn.Linear(self.config.hidden_size, 2)
        self.judge = nn.Linear(self.config.hidden_size, 2)  # answerable, evidence
        self.prompt: Prompt | None = None  # both are an adapter's
        self.prefix: Prefix | None = None
        self.routers = nn.ModuleList()
        if config.memory_routed:
            self.route()

    def route(self) -> None:
        """Begin to route tokens; until the routers are trained that changes nothing."""
        self.routers.extend(TokenRouter(self.config.hidden_size) for _ in self.experts)

    def lower(self, ids: torch.Tensor, mask: torch.Tensor, grid: torch.Tensor | None = None, patches: torch.Tensor | None = None) -> torch.Tensor:
        """ids, mask (N, T) of blocks with their grid (N, T, PLACES), or of questions without -> states (N, T, W), each text seen alone.

        patches (M, P): the features of what stands where ids are PATCH, in their order.

        Of a block longer than the encoder has positions for, these begin again and again, as Longformer's did at first (arXiv 2004.05150).
        """
        first = 0 if grid is None else BLOCK_POSITION
        room = self.config.max_position_embeddings - first
        positions = first + torch.arange(ids.shape[1], device=ids.device)[None] % room  # (1, T)
        words = self.bert.embeddings.word_embeddings(ids)  # (N, T, W)
        if patches is not None:
            words = words.masked_scatter((ids == PATCH)[..., None], self.patches(patches.to(words.dtype)).to(words.dtype))
        if grid is not None:
            words = words + self.grid(words, grid)
        states = self.bert.embeddings(inputs_embeds=words, token_type_ids=torch.full_like(ids, int(first > 0)), position_ids=positions)
        attention = self._attention(states, mask)
        for layer in self.bert.encoder.layer[: self.cached_layers]:
            states = layer(states, attention)  # (N, T, W)
        return states

    def live(
        self, question: torch.Tensor, question_mask: torch.Tensor, block: torch.Tensor, block_mask: torch.Tensor, codes: torch.Tensor,
        kinds: torch.Tensor,
    ) -> Live:  # fmt: skip
        """Lower states of questions (N, Q, W) and of their blocks (N, T, W), masks (N, Q) and (N, T), codes of models.reader.exact_match (N, Q + T),
        kinds (N,) of models.reader.coordinates.

        Where a question is masked whole and all codes are 0, its block's states are those of `cached`.
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
        return Live(states, self.span(torch.cat((first[:, None], states), 1)), self.judge(first), torch.stack(through, -1))

    def cached(self, block: torch.Tensor, block_mask: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """Lower states of blocks (N, T, W) -> states (N, T, W) that no question has touched."""
        attention = self._attention(block, block_mask)
        for layer, experts, router in self._upper():
            block, _ = layer(block, attention, kinds, experts, router)
        return block

    def _upper(self) -> Iterator[tuple[ExpertLayer, Experts, TokenRouter | None]]:
        layers = self.bert.encoder.layer[self.cached_layers :]
        return zip(layers, self.experts, self.routers or [None] * len(layers), strict=True)

    def _attention(self, states: torch.Tensor, mask: torch.Tensor, before: int = 0) -> torch.Tensor | None:
        """before: keys that stand before those of the states."""
        whole = create_bidirectional_mask(
            config=self.config, inputs_embeds=F.pad(states, (0, 0, before, 0)), attention_mask=F.pad(mask, (before, 0), value=1)
        )  # (N, 1, P + S, P + S)
        return whole if whole is None or not before else whole[:, :, before:]


def _fewer_heads(attention: BertAttention, heads: int) -> None:
    """Give a layer so many heads, each as wide as before."""
    inner, width = attention.self, attention.output.dense.out_features
    inner.num_attention_heads, inner.all_head_size = heads, heads * inner.attention_head_size
    for name in ("query", "key", "value"):
        setattr(inner, name, nn.Linear(width, inner.all_head_size))
    attention.output.dense = nn.Linear(inner.all_head_size, width)


class MemoryProjector(nn.Module):
    """States of memory -> what the decoder reads of them."""

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        width = config.memory_config.hidden_size
        self.shape = (len(config.cross_attention_layers), 2, config.num_key_value_heads, config.head_dim)
        self.kv = nn.Linear(width, self.shape[0] * 2 * self.shape[2] * self.shape[3], bias=False)
        self.key_norm = LlamaRMSNorm(config.head_dim, eps=config.rms_norm_eps)
        self.pointer = nn.Linear(width, config.pointer_size)
        self.before = nn.Linear(width, config.pointer_size, bias=False)

    def forward(self, states: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """states (B, S, W); before (B, S, W): the word vector of the token in front of each slot -> memory_kv, memory_keys.

        A pointer's key holds the token before it, so that a decoder which has just written that token finds what comes next.
        """
        b, s, _ = states.shape
        kv = self.kv(states).view(b, s, *self.shape).permute(0, 2, 3, 4, 1, 5)  # (B, L, 2, G, S, D)
        keys = self.key_norm(kv[:, :, 0])  # (B, L, G, S, D)
        return torch.stack((keys, kv[:, :, 1]), 2), self.pointer(states) + self.before(before)
