"""Tensor parallelism: attention heads and feed-forward channels of a grounded model shared among processes.

After Megatron-LM (arXiv 1909.08053). Shared are queries, keys, values and outputs of every attention, and every
feed-forward network, of the decoder and of the memory encoder. Each process holds a copy of the rest: word vectors,
norms, the projector of memory, experts, heads, the copy attention. Legend as in models.network.grounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from models.network.grounded import GroundedForCausalLM

# Endings of the names of linear layers: split by output channels, and by input channels.
COLUMNS = (
    "_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj",
    "self.query", "self.key", "self.value", "intermediate.dense",
)  # fmt: skip
ROWS = ("_attn.o_proj", "mlp.down_proj", "output.dense")


def _style(name: str) -> ParallelStyle | None:
    """How a module of this name is shared; None where every process holds all of it."""
    if name.endswith(COLUMNS):
        return ColwiseParallel()
    if name.endswith(ROWS):
        return RowwiseParallel()
    if name.endswith("cross_attn.query_norm"):  # of (B, H, T, D): its weight's gradient is a sum over all heads
        return SequenceParallel(sequence_dim=1, use_local_output=True)
    if name.endswith(("self_attn.q_norm", "self_attn.k_norm")):  # of (B, T, H, D)
        return SequenceParallel(sequence_dim=2, use_local_output=True)
    if name.endswith("cross_attn.attend"):  # every process gets keys and values of all heads, and reads its own
        whole, own = (None, Replicate(), Replicate(), None), (None, Shard(1), Shard(1), None)
        return PrepareModuleInput(input_layouts=whole, desired_input_layouts=own, use_local_output=True)
    return None


def share_heads(model: GroundedForCausalLM, mesh: DeviceMesh) -> None:
    """Share a model in place. mesh: of one dimension, whose size divides heads and channels (Layout.check)."""
    styles = {name: style for name, _ in model.named_modules() if (style := _style(name)) is not None}
    parallelize_module(model, mesh, styles)
