"""Pipeline parallelism (GPipe, arXiv 1811.06965): a grounded model cut into stages of consecutive decoder layers.

The first stage has the memory encoder too, the last the language model head. A stage is the whole model without the
modules of other stages, so that weights keep their names. Each stage passes to the next the decoder's states, the
memory, and the parts of the loss that are known already, padded to the largest batch of a step.
Legend as in models.network.grounded.
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

# Parts of the loss (models.training.objective): of the memory encoder, of one that routes tokens, of the decoder.
ENCODER_PARTS = ("span", "answerable", "evidence", "contrast")
ROUTER_PARTS = ("computed", "through")
DECODER_PARTS = ("answer", "pointing")
Shape = tuple[int, ...]


class PassThrough(nn.Module):
    """Stands for a module that another stage holds; returns its first input."""

    def forward(self, states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return states


def cut(model: GroundedForCausalLM, stage: int, stages: int) -> None:
    """Leave in a model the modules of one stage. The first stage, with the memory encoder, gets the fewest layers."""
    first, last, layers = stage == 0, stage == stages - 1, len(model.model.layers)
    for layer in range(layers):
        if not stage * layers // stages <= layer < (stage + 1) * layers // stages:
            model.model.layers[layer] = PassThrough()
    if not first:
        model.model.embed_tokens, model.memory, model.projector = PassThrough(), PassThrough(), PassThrough()
    if not last:
        model.model.norm, model.copy, model.lm_head = PassThrough(), PassThrough(), PassThrough()


class Stage(nn.Module):
    """The part of a step that one process computes: forward(outputs of the stage before, number of a batch).

    Returns what goes to the next stage; the last stage returns the loss of the batch, times the batch's weight, (1,).
    `names` are the parts of the loss, `loss_parts` their values for each batch so far, times the batch's weight.
    """

    def __init__(
        self, model: GroundedForCausalLM, stage: int = 0, stages: int = 1, precision: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.first, self.last, self._precision = stage == 0, stage == stages - 1, precision
        self.encoder_parts = ENCODER_PARTS + (ROUTER_PARTS if model.config.memory_routed else ())
        self.names = ("loss", *DECODER_PARTS, *self.encoder_parts)
        cut(model, stage, stages)
        self.model = model
        self.batches: Sequence[QuestionBatch] = ()
        self.weights: Sequence[float] = ()
        self.loss_parts: list[torch.Tensor] = []

    def begin(self, batches: Sequence[QuestionBatch], weights: Sequence[float]) -> None:
        """Begin a step. weights: of each batch's loss."""
        self.batches, self.weights, self.loss_parts = batches, weights, []

    def boundary_shapes(self) -> tuple[Shape, ...]:
        """Shapes of what goes to the next stage: decoder states, memory_kv, memory_keys, the encoder's loss parts."""
        config = self.model.config
        questions, tokens = (max(batch.decoder_ids.shape[axis] for batch in self.batches) for axis in (0, 1))
        slots = max(int(batch.blocks) * batch.block_ids.shape[1] for batch in self.batches)
        return (
            (questions, tokens, config.hidden_size),
            (questions, len(config.cross_attention_layers), 2, config.num_key_value_heads, slots, config.head_dim),
            (questions, slots, config.pointer_size),
            (len(self.encoder_parts),),
        )

    def forward(
        self, *received: torch.Tensor, number: torch.Tensor
    ) -> tuple[torch.Tensor, ...] | torch.Tensor:
        with torch.autocast(number.device.type, self._precision, enabled=self._precision is not None):
            return self._forward(int(number), received)

    def _forward(self, number: int, received: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | torch.Tensor:
        batch, model = self.batches[number], self.model
        if self.first:
            memory, live = recall(model, batch)
            parts = judging(model, live, batch)
            outputs = decoded(model, batch, memory)
        else:
            before, kv, keys, encoder_parts = _unpadded(batch, received)
            memory = Memory(kv, keys, _slots(batch.block_ids, batch), _slots(batch.block_mask.bool(), batch))
            parts = dict(zip(self.encoder_parts, encoder_parts, strict=True))
            outputs = decoded(model, batch, memory, before)
        if not self.last:
            encoder_parts = torch.stack([parts[name].float() for name in self.encoder_parts])
            leaving = outputs.last_hidden_state, memory.memory_kv, memory.memory_keys, encoder_parts
            return tuple(_sized(one.float(), shape) for one, shape in zip(leaving, self.boundary_shapes(), strict=True))
        parts |= written(model, batch, memory, outputs)
        loss = sum(SHARES[name] * part for name, part in parts.items() if name != "through")
        parts["loss"] = loss
        values = torch.stack([parts[name].detach().float() for name in self.names])
        self.loss_parts.append(self.weights[number] * values)
        return torch.stack([self.weights[number] * loss])  # not a view: FSDP2 warns of views


def _unpadded(batch: QuestionBatch, received: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """What came from the stage before, in the shapes of this batch."""
    questions, tokens = batch.decoder_ids.shape
    slots = int(batch.blocks) * batch.block_ids.shape[1]
    states, kv, keys, encoder_parts = received
    shapes = (
        (questions, tokens, states.shape[2]),
        (questions, *kv.shape[1:4], slots, kv.shape[5]),
        (questions, slots, keys.shape[2]),
        encoder_parts.shape,
    )
    return [_sized(one, shape) for one, shape in zip(received, shapes, strict=True)]


def _sized(values: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Cut, or padded with zeros, at the end of every dimension."""
    missing = [size - own for size, own in zip(shape, values.shape, strict=True)]
    return F.pad(values, [side for size in reversed(missing) for side in (0, size)]).contiguous()


def _slots(values: torch.Tensor, batch: QuestionBatch) -> torch.Tensor:
    """Values of the tokens of blocks (N, T) -> of slots of memory (B, S), see Memory.gather."""
    questions = len(batch.question_ids)
    whole = values.new_zeros(questions * int(batch.blocks), values.shape[1])
    return whole.index_copy(0, batch.place, values).view(questions, -1)
