"""A GroundedForCausalLM in torch for models.reader.extractive_reader, in place of the shipped int8 graphs.

It reads with any checkpoint: a quantised one, one that was trained. It caches no states of blocks. Its operations are
what torch counts, the same for each row of a batch; those in int8 by torchao are not counted, nor are bytes.
Legend: B rows of S tokens, as in models.reader.sequences; N blocks, T tokens of a block, Q of a question.
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
from models.reader.coordinates import PLACES, modalities_of
from models.reader.flops import Cost
from models.reader.image_patches import WIDTH
from models.reader.onnx_encoder import question_lengths
from models.reader.sequences import CLOSED, CLS, PATCH, QUESTION, SEP, Sequences
from models.reader.types import Computed


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    """Two products, (B, H, S, D) each; torch counts them for GPUs alone."""
    return sdpa_flop_count(query, key, value)


ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


@dataclass(frozen=True, slots=True)
class TorchEncoder:
    """A Compute, as models.reader.onnx_encoder.Encoder. Thread-safe."""

    model: GroundedForCausalLM

    @torch.inference_mode()
    def __call__(self, rows: Sequences) -> Computed:
        parts = list(zip(question_lengths(rows), rows.attention_mask.sum(1).tolist(), strict=True))
        questions = [rows.input_ids[row, :first] for row, (first, _) in enumerate(parts)]
        blocks = [rows.input_ids[row, first:end] for row, (first, end) in enumerate(parts)]
        (question_ids, question_mask), (block_ids, block_mask) = padded(questions), padded(blocks)  # (B, Q), (B, T)
        grid = np.zeros((*block_ids.shape, PLACES), np.int64)
        for row, (first, end) in enumerate(parts):
            grid[row, : end - first] = rows.grid[row, first:end]
        coded = coded_pairs(question_ids, block_ids, grid, np.arange(len(parts)))
        patches = rows.patches[(rows.input_ids == PATCH).any(1)].reshape(-1, WIDTH).astype(np.float32)

        def moved(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(self.model.device)

        memory, asked_mask, mask = self.model.memory, moved(question_mask), moved(block_mask)
        with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counted:
            question = memory.lower(moved(question_ids), asked_mask)  # (B, Q, W)
            block = memory.lower(moved(block_ids), mask, moved(grid), moved(patches))  # (B, T, W)
            live = memory.live(question, asked_mask, block, mask, moved(coded), moved(modalities_of(grid)))
        logits = live.spans.float().cpu().numpy()  # (B, 1 + T, 2)
        encoded = live.states.float().cpu().numpy()  # (B, T, W)
        shape, cost = rows.input_ids.shape, Cost(counted.get_total_flops() // len(parts))
        spans, states = np.zeros((*shape, 2), np.float32), np.zeros((*shape, encoded.shape[-1]), np.float16)
        spans[:, 0] = logits[:, 0]
        for row, (first, end) in enumerate(parts):
            spans[row, first:end] = logits[row, 1 : 1 + end - first]
            states[row, first:end] = encoded[row, : end - first]
        return Computed(spans, live.judged.float().cpu().numpy(), states, [cost] * len(parts))


@dataclass(frozen=True, slots=True)
class TorchDecoder:
    """An AnswerScorer, as models.reader.ablation.Decoder. Thread-safe."""

    model: GroundedForCausalLM

    @torch.inference_mode()
    def log_probabilities(
        self, question: Sequence[int], answer: Sequence[int], memory: Sequence[Block], cited: int
    ) -> tuple[float, float]:
        """See models.reader.ablation.AnswerScorer."""
        device, prompt = self.model.device, [CLS, *question[:QUESTION], SEP]
        ids, mask = (torch.from_numpy(array).to(device) for array in padded([block.ids for block in memory]))  # (N, T)
        states = torch.zeros(*ids.shape, memory[0].states.shape[1], device=device)  # (N, T, W)
        for at, block in enumerate(memory):
            states[at, : len(block.ids)] = torch.from_numpy(block.states.astype(np.float32))
        blocks = torch.arange(len(memory), device=device)
        whole = self.model.remember(states, ids, mask).gather(blocks, 1, len(memory))
        # two rows: all of the memory, and without the cited passage
        inputs = {name: value.expand(2, *value.shape[1:]) for name, value in whole.inputs().items()}
        masked = torch.tensor([[block.passage == cited] for block in memory], device=device).expand_as(ids).flatten()
        inputs["memory_bias"] = torch.stack((torch.zeros_like(masked), masked)) * CLOSED  # (2, N * T)
        written = torch.tensor([[*prompt, *answer]], device=device).expand(2, -1)  # (2, A)
        labels = torch.tensor([*answer, SEP], device=device)
        logits = self.model(input_ids=written, logits_to_keep=len(labels), **inputs).logits  # (2, labels, V)
        all_of_it, without = logits[:, torch.arange(len(labels), device=device), labels].sum(1).tolist()
        return all_of_it, without


def open_torch(folder: Path) -> tuple[TorchEncoder, TorchDecoder]:
    """The two arguments of a models.reader.extractive_reader.Reader. Raises WeightsError."""
    model = open_model(GroundedForCausalLM, folder).eval()
    return TorchEncoder(model), TorchDecoder(model)
