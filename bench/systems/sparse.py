"""Sparse against dense attention: seconds and peak memory to read one long text whole.

The text is read by the memory encoder, and as a prompt by the decoder.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from bench.systems.common import Row, document, fresh, grounded, peak
from models.network.grounded import GroundedForCausalLM
from models.reader.coordinates import PLACES
from models.systems.sparse_attention import with_sparse_attention

LENGTHS = {"sparse": (1, 4, 16, 64), "dense": (1, 4, 16)}  # times 1024 tokens; dense, 64 would take many minutes
READERS = ("memory encoder", "decoder")


def encode(model: GroundedForCausalLM, text: torch.Tensor) -> None:
    """All layers of the memory encoder, without a question. text: (1, T)."""
    mask, grid = torch.ones_like(text), torch.zeros(*text.shape, PLACES, dtype=torch.long)
    model.memory.cached(model.memory.lower(text, mask, grid), mask, torch.zeros(1, dtype=torch.long))


def cost(data: Path, form: str, length: int) -> dict[str, tuple[float, float]]:
    """Seconds and MiB of each reader."""
    text, model = document(data, length), grounded()
    if form == "sparse":
        model = with_sparse_attention(model).eval()
    found = {}
    acts = (lambda ids: encode(model, ids), lambda ids: model(ids, use_cache=False, logits_to_keep=1))
    for reader, act in zip(READERS, acts, strict=True):
        with torch.inference_mode():
            act(text[:, :512])  # loads kernels and allocates buffers
            began = time.perf_counter()
            held = peak(lambda act=act: act(text))
            found[reader] = time.perf_counter() - began, held
    return found


def measure(data: Path) -> Iterator[Row]:
    for form, lengths in LENGTHS.items():
        found = {length: fresh(cost, data, form, length * 1024) for length in lengths}
        for reader in READERS:
            costs = {length: found[length][reader] for length in lengths}
            figures = {f"{length}k tokens": f"{taken:.2f} s {mib:.0f} MiB" for length, (taken, mib) in costs.items()}
            yield Row("sparse attention", f"{reader}, {form}", figures)
