"""A grounded model as the stages of a pipeline: the first reads memory and begins to decode, the last tells what was written.

A stage is the model with what other stages hold taken out, so that weights keep their names. From stage to stage travel the states of the decoder,
the memory that it reads, and the parts of the loss that are known already, each brought to the size of the largest batch of a step. Legend as in
models.network.grounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Memory
from models.training.objective import SHARES, decoded, judging, recall, written
from models.training.question_batches import QuestionBatch

JUDGED = ("span", "answerable", "evidence", "contrast")
ROUTED = ("computed", "through")  # of a model that routes tokens
WRITTEN = ("answer", "pointing")
Shape = tuple[int, ...]


class Elsewhere(nn.Module):
    """In place of what another stage holds."""

    def forward(self, states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return states


def cut(model: GroundedForCausalLM, at: int, stages: int) -> None:
    """Leave in a model what stage `at` holds. The first stage has the memory encoder, and the fewest layers of the decoder."""
    first, last, layers = at == 0, at == stages - 1, len(model.model.layers)
    for layer in range(layers):
        if not at * layers // stages <= layer < (at + 1) * layers // stages:
            model.model.layers[layer] = Elsewhere()
    if not first:
        model.model.embed_tokens, model.memory, model.projector = Elsewhere(), Elsewhere(), Elsewhere()
    if not last:
        model.model.norm, model.copy, model.lm_head = Elsewhere(), Elsewhere(), Elsewhere()


class Stage(nn.Module):
    """What one process computes of a step: forward(what came from the stage before, number of a batch) -> what goes to the next one.

    The last stage gives the loss of the batch (1,), times the batch's weight.
    """

    def __init__(self, model: GroundedForCausalLM, at: int = 0, stages: int = 1, precision: torch.dtype | None = None) -> None:
        super().__init__()
        self.first, self.last, self._precision = at == 0, at == stages - 1, precision
        self.judged = JUDGED + (ROUTED if model.config.memory_routed else ())
        self.names = ("loss", *WRITTEN, *self.judged)
        cut(model, at, stages)
        self.model = model
        self.batches: Sequence[QuestionBatch] = ()
        self.weights: Sequence[float] = ()
        self.told: list[torch.Tensor] = []  # of each batch: what `names` name, times the batch's weight

    def begin(self, batches: Sequence[QuestionBatch], weights: Sequence[float]) -> None:
        """The batches of a step, and what the loss of each counts for."""
        self.batches, self.weights, self.told = batches, weights, []

    def travelling(self) -> tuple[Shape, ...]:
        """Sizes of what goes to the next stage: the decoder's states, memory_kv, memory_keys, and the judged parts of the loss."""
        config = self.model.config
        questions, tokens = (max(batch.decoder_ids.shape[axis] for batch in self.batches) for axis in (0, 1))
        slots = max(int(batch.blocks) * batch.block_ids.shape[1] for batch in self.batches)
        kv = len(config.cross_attention_layers), 2, config.num_key_value_heads, slots, config.head_dim
        return (questions, tokens, config.hidden_size), (questions, *kv), (questions, slots, config.pointer_size), (len(self.judged),)

    def forward(self, *came: torch.Tensor, number: torch.Tensor) -> tuple[torch.Tensor, ...] | torch.Tensor:
        with torch.autocast(number.device.type, self._precision, enabled=self._precision is not None):
            return self._forward(int(number), came)

    def _forward(self, number: int, came: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | torch.Tensor:
        batch, model = self.batches[number], self.model
        if self.first:
            memory, live = recall(model, batch)
            parts = judging(model, live, batch)
            outputs = decoded(model, batch, memory)
        else:
            before, kv, keys, judged = self._received(batch, came)
            memory = Memory(kv, keys, _slots(batch.block_ids, batch), _slots(batch.block_mask.bool(), batch))
            parts = dict(zip(self.judged, judged, strict=True))
            outputs = decoded(model, batch, memory, before)
        if not self.last:
            judged = torch.stack([parts[name].float() for name in self.judged])
            leaving = outputs.last_hidden_state, memory.memory_kv, memory.memory_keys, judged
            return tuple(_sized(one.float(), shape) for one, shape in zip(leaving, self.travelling(), strict=True))
        parts |= written(model, batch, memory, outputs)
        loss = sum(SHARES[name] * part for name, part in parts.items() if name != "through")
        parts["loss"] = loss
        self.told.append(self.weights[number] * torch.stack([parts[name].detach().float() for name in self.names]))
        return torch.stack([self.weights[number] * loss])  # no view: FSDP2 warns of those

    def _received(self, batch: QuestionBatch, came: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """What came from the stage before, in the size of this batch."""
        questions, tokens = batch.decoder_ids.shape
        slots = int(batch.blocks) * batch.block_ids.shape[1]
        states, kv, keys, judged = came
        shapes = (questions, tokens, states.shape[2]), (questions, *kv.shape[1:4], slots, kv.shape[5]), (questions, slots, keys.shape[2]), judged.shape
        return [_sized(one, shape) for one, shape in zip(came, shapes, strict=True)]


def _sized(values: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Cut, or filled with zeros, at the end of every dimension."""
    missing = [size - have for size, have in zip(shape, values.shape, strict=True)]
    return F.pad(values, [side for size in reversed(missing) for side in (0, size)]).contiguous()


def _slots(values: torch.Tensor, batch: QuestionBatch) -> torch.Tensor:
    """Of tokens of blocks (N, T) -> of slots of memory (B, S), see Memory.gather."""
    questions = len(batch.question_ids)
    whole = values.new_zeros(questions * int(batch.blocks), values.shape[1])
    return whole.index_copy(0, batch.place, values).view(questions, -1)
