"""The torch model on one question with one block: the reference that int8 is compared with."""

from __future__ import annotations

import numpy as np
import torch

from models.network.grounded import GroundedForCausalLM
from models.network.padding import coded_pairs
from models.reader.coordinates import PLACES
from models.reader.extractive_reader import modality_of_parts
from models.reader.image_patches import PATCH_PLACES, PATCHES, WIDTH
from models.reader.sequences import CLS, PATCH, SEP, Parts


@torch.inference_mode()
def by_torch(model: GroundedForCausalLM, part: Parts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Span logits (1 + tokens of the block, 2), both judgements (2,), and the experts that each token went through."""
    patch_ids = [PATCH] * (PATCHES if part.picture else 0)
    question = torch.tensor([[CLS, *part.question, SEP]])
    block = torch.tensor([[*part.title, SEP, *part.context, SEP, *patch_ids]])
    grid = torch.zeros(*block.shape, PLACES, dtype=torch.long)
    context = slice(len(part.title) + 1, len(part.title) + 1 + len(part.context))
    grid[0, context][: len(part.context_grid)] = torch.from_numpy(part.context_grid.astype(np.int64))
    patches = torch.empty(0, WIDTH)
    if part.picture:
        grid[0, context.stop + 1 :] = torch.from_numpy(PATCH_PLACES.astype(np.int64))
        patches = torch.from_numpy(part.picture.features.astype(np.float32))
    seen = torch.ones_like(question), torch.ones_like(block)
    lower = model.memory.lower(question, seen[0]), model.memory.lower(block, seen[1], grid, patches)
    coded = torch.from_numpy(coded_pairs(question.numpy(), block.numpy(), grid.numpy(), np.zeros(1, int)))
    live = model.memory.live(lower[0], seen[0], lower[1], seen[1], coded, torch.tensor([modality_of_parts(part)]))
    return live.spans[0].numpy(), live.judged[0].numpy(), live.through[0].numpy()
