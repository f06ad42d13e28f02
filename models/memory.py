"""Blocks of evidence as memory: what the decoder's cross-attention and its copy attention read.

The encoder's lower layers see a block alone, so that their states can be kept; its upper layers see the block with the question
("live"; DeFormer, arXiv 2005.00697), or again the block alone ("cached"; LUMEN, arXiv 2301.10448, has the cost of each).
Legend: N blocks, T tokens of a block, Q tokens of the question, W width of the encoder; B memories, S slots of a memory,
L cross layers, G key-value heads, D width of a head, P width of the pointer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import BertModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from models.config import GroundedConfig
from models.layout import QUESTION

BLOCK_POSITION = QUESTION + 2  # where a block's positions begin, after those of [CLS] question [SEP]


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


class MemoryEncoder(nn.Module):
    """A BERT that is cut in two, and a head that judges a block for a question."""

    def __init__(self, config: GroundedConfig) -> None:
        super().__init__()
        self.config = config.memory_config
        self.cached_layers = config.memory_cached_layers
        self.bert = BertModel(self.config, add_pooling_layer=False)
        self.judge = nn.Linear(self.config.hidden_size, 2)  # answerable, evidence

    def lower(self, ids: torch.Tensor, mask: torch.Tensor, *, block: bool) -> torch.Tensor:
        """ids, mask (N, T) of blocks, or of questions -> states (N, T, W), each text seen alone."""
        first = BLOCK_POSITION if block else 0
        positions = torch.arange(first, first + ids.shape[1], device=ids.device)[None]  # (1, T)
        states = self.bert.embeddings(ids, torch.full_like(ids, int(block)), positions)  # (N, T, W)
        return self._run(states, mask, slice(0, self.cached_layers))

    def live(
        self, question: torch.Tensor, question_mask: torch.Tensor, block: torch.Tensor, block_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Lower states of questions (N, Q, W) and of their blocks (N, T, W) -> states of the blocks (N, T, W), judged (N, 2)."""
        joint = torch.cat((question, block), 1)  # (N, Q + T, W)
        joint = self._run(joint, torch.cat((question_mask, block_mask), 1), slice(self.cached_layers, None))
        return joint[:, question.shape[1] :], self.judge(joint[:, 0])

    def cached(self, block: torch.Tensor, block_mask: torch.Tensor) -> torch.Tensor:
        """Lower states of blocks (N, T, W) -> states (N, T, W) that no question has touched."""
        return self._run(block, block_mask, slice(self.cached_layers, None))

    def _run(self, states: torch.Tensor, mask: torch.Tensor, layers: slice) -> torch.Tensor:
        attention = create_bidirectional_mask(config=self.config, inputs_embeds=states, attention_mask=mask)
        for layer in self.bert.encoder.layer[layers]:
            states = layer(states, attention)  # (N, T, W)
        return states


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
