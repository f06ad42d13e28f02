"""Sparse attention beside dense: seconds and peak memory to read one long text whole, by the memory encoder and as a prompt of the decoder."""

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


def read(model: GroundedForCausalLM, text: torch.Tensor) -> None:
    """text (1, T): without a question; every layer of the encoder."""
    seen, plain = torch.ones_like(text), torch.zeros(*text.shape, PLACES, dtype=torch.long)
    model.memory.cached(model.memory.lower(text, seen, plain), seen, torch.zeros(1, dtype=torch.long))


def cost(data: Path, form: str, length: int) -> dict[str, tuple[float, float]]:
    """Seconds and MiB of each reader."""
    text, model = document(data, length), grounded()
    if form == "sparse":
        model = with_sparse_attention(model).eval()
    found = {}
    for reader, act in zip(READERS, (lambda ids: read(model, ids), lambda ids: model(ids, use_cache=False, logits_to_keep=1)), strict=True):
        with torch.inference_mode():
            act(text[:, :512])  # kernels and buffers
            began = time.perf_counter()
            held = peak(lambda act=act: act(text))
            found[reader] = time.perf_counter() - began, held
    return found


def measure(data: Path) -> Iterator[Row]:
    for form, lengths in LENGTHS.items():
        found = {length: fresh(cost, data, form, length * 1024) for length in lengths}
        for reader in READERS:
            figures = {f"{length}k tokens": f"{found[length][reader][0]:.2f} s {found[length][reader][1]:.0f} MiB" for length in lengths}
            yield Row("sparse attention", f"{reader}, {form}", figures)
