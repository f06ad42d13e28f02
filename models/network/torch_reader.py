"""A GroundedForCausalLM in torch as what models.reader.extractive_reader reads with, in place of the shipped int8 graphs: a quantised checkpoint, one that was trained.

It keeps no states of blocks. Its operations are what torch counts, the same for each row of a batch; those in int8 by torchao are not counted, nor are bytes. Legend: B rows of S tokens, as in models.reader.sequences; N blocks, T tokens of a block, Q of a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from models.common.checkpoint import open_model
from models.network.grounded import GroundedForCausalLM
from models.network.padding import coded_pairs, padded
from models.reader.ablation import Block
from models.reader.coordinates import PLACES, kinds_of
from models.reader.extractive_reader import Computed
from models.reader.flops import Spent
from models.reader.image_patches import WIDTH
from models.reader.onnx_encoder import asked_of
from models.reader.sequences import CLOSED, CLS, PATCH, QUESTION, SEP, Sequences


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    """Two products, (B, H, S, D) each; torch counts them for GPUs alone."""
    return sdpa_flop_count(query, key, value)


ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


@dataclass(frozen=True, slots=True)
class TorchEncoder:
    """Computes what models.reader.extractive_reader reads by, see models.reader.onnx_encoder.Encoder. Thread-safe."""

    model: GroundedForCausalLM

    @torch.inference_mode()
    def __call__(self, rows: Sequences) -> Computed:
        asked, ends = asked_of(rows), rows.attention_mask.sum(1).tolist()
        parts = list(zip(asked, ends, strict=True))
        question_ids, question_mask = padded([rows.input_ids[row, :first] for row, (first, _) in enumerate(parts)])  # (B, Q)
        block_ids, block_mask = padded([rows.input_ids[row, first:end] for row, (first, end) in enumerate(parts)])  # (B, T)
        grid = np.zeros((*block_ids.shape, PLACES), np.int64)
        for row, (first, end) in enumerate(parts):
            grid[row, : end - first] = rows.grid[row, first:end]
        coded = coded_pairs(question_ids, block_ids, grid, np.arange(len(parts)))
        patches = rows.patches[(rows.input_ids == PATCH).any(1)].reshape(-1, WIDTH).astype(np.float32)
        arrays = question_ids, question_mask, block_ids, block_mask, grid, coded, kinds_of(grid), patches
        questions, seen, blocks, mask, places, codes, kinds, shown = (torch.from_numpy(array).to(self.model.device) for array in arrays)
        memory = self.model.memory
        with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counted:
            live = memory.live(memory.lower(questions, seen), seen, memory.lower(blocks, mask, places, shown), mask, codes, kinds)
        spans, states = (values.float().cpu().numpy() for values in (live.spans, live.states))  # (B, 1 + T, 2), (B, T, W)
        shape = rows.input_ids.shape
        made = Computed(np.zeros((*shape, 2), np.float32), live.judged.float().cpu().numpy(), np.zeros((*shape, states.shape[-1]), np.float16), [Spent(counted.get_total_flops() // len(parts))] * len(parts))
        made.spans[:, 0] = spans[:, 0]
        for row, (first, end) in enumerate(parts):
            made.spans[row, first:end], made.states[row, first:end] = spans[row, 1 : 1 + end - first], states[row, : end - first]
        return made


@dataclass(frozen=True, slots=True)
class TorchDecoder:
    """Tells what models.reader.ablation.Decoder tells. Thread-safe."""

    model: GroundedForCausalLM

    @torch.inference_mode()
    def chances(self, question: Sequence[int], answer: Sequence[int], memory: Sequence[Block], cited: int) -> tuple[float, float]:
        device, prompt = self.model.device, [CLS, *question[:QUESTION], SEP]
        ids, mask = (torch.from_numpy(array).to(device) for array in padded([block.ids for block in memory]))  # (N, T)
        states = torch.zeros(*ids.shape, memory[0].states.shape[1], device=device)  # (N, T, W)
        for at, block in enumerate(memory):
            states[at, : len(block.ids)] = torch.from_numpy(block.states.astype(np.float32))
        gone = torch.tensor([[block.passage == cited] for block in memory], device=device).expand_as(ids).flatten()  # (N * T,)
        kept = self.model.remember(states, ids, mask).gather(torch.arange(len(memory), device=device), 1, len(memory))
        inputs = {name: value.expand(2, *value.shape[1:]) for name, value in kept.inputs().items()}  # with all of it, and without what is cited
        inputs["memory_bias"] = torch.stack((torch.zeros_like(gone), gone)) * CLOSED
        written = torch.tensor([[*prompt, *answer]], device=device).expand(2, -1)  # (2, A)
        labels = torch.tensor([*answer, SEP], device=device)
        said = self.model(input_ids=written, logits_to_keep=len(labels), **inputs).logits  # (2, labels, V)
        chance, without = said[:, torch.arange(len(labels), device=device), labels].sum(1).tolist()
        return chance, without


def open_torch(folder: Path) -> tuple[TorchEncoder, TorchDecoder]:
    """What models.reader.extractive_reader.Reader is made of. Raises WeightsError."""
    model = open_model(GroundedForCausalLM, folder).eval()
    return TorchEncoder(model), TorchDecoder(model)
