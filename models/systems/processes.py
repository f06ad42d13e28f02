"""The processes that train or serve one model, started by torchrun: their number, their layout and their group.

In: torchrun's environment (WORLD_SIZE, RANK, LOCAL_RANK) and sizes of data, tensor and pipeline parallelism.
Out: a checked layout and its device mesh. Knows nothing of what the processes compute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from models.common.errors import FolioError, LayoutError

if TYPE_CHECKING:
    import torch
    from torch.distributed.device_mesh import DeviceMesh

    from models.network.config import GroundedConfig

Checked = TypeVar("Checked")
PIPELINE, DATA, TENSOR = "pipeline", "data", "tensor"  # dimensions of the mesh
TIMEOUT = timedelta(minutes=10)  # of waiting for another process; if one dies, torchrun ends the others at once


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes share a model in each of three ways."""

    data: int = 1
    tensor: int = 1
    pipeline: int = 1

    @property
    def processes(self) -> int:
        return self.data * self.tensor * self.pipeline

    def check(self, config: GroundedConfig) -> None:
        """Raises LayoutError for a model that cannot be shared so, and for another number of started processes."""
        for name, size in (("data", self.data), ("tensor", self.tensor), ("pipeline", self.pipeline)):
            if size < 1:
                raise LayoutError(f"--{name}-parallel must be at least 1, not {size}")
        if self.processes != world_size():
            raise LayoutError(
                f"{self.data} x {self.tensor} x {self.pipeline} (data x tensor x pipeline) are {self.processes} "
                f"processes, and {world_size()} were started: "
                f"start them with torchrun --nproc-per-node {self.processes}"
            )
        if self.pipeline > config.num_hidden_layers:
            raise LayoutError(
                f"--pipeline-parallel {self.pipeline}: the decoder has {config.num_hidden_layers} layers, "
                f"give at most {config.num_hidden_layers}"
            )
        if config.model_type != "grounded":
            raise LayoutError(
                f"a {config.model_type} model is trained and served in one process: "
                "python -m models.systems.train, models.systems.write"
            )
        self._check_tensor(config)

    def _check_tensor(self, config: GroundedConfig) -> None:
        memory = config.memory_config
        divided = {
            "heads": config.num_attention_heads,
            "key-value heads": config.num_key_value_heads,
            "channels of the decoder": config.intermediate_size,
            "heads of the memory encoder": config.memory_heads or memory.num_attention_heads,
            "channels of the memory encoder": memory.intermediate_size,
        }
        for name, count in divided.items():
            if count % self.tensor:
                raise LayoutError(
                    f"{self.tensor} tensor-parallel processes cannot share {count} {name} evenly: "
                    f"give a number that divides {count}"
                )

    def mesh(self) -> DeviceMesh:
        from torch.distributed.device_mesh import init_device_mesh

        sizes = (self.pipeline, self.data, self.tensor)
        return init_device_mesh(device().type, sizes, mesh_dim_names=(PIPELINE, DATA, TENSOR))


def world_size() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def device() -> torch.device:
    import torch

    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")


def reported_once(check: Callable[[], Checked]) -> Checked:
    """The result of a check that is the same in every process. Only rank 0 raises its FolioError; the others exit."""
    try:
        return check()
    except FolioError:
        if rank():
            raise SystemExit(0) from None
        raise


@contextmanager
def process_group(timeout: timedelta = TIMEOUT) -> Iterator[None]:
    """torch.distributed for the block: gloo on a CPU, nccl between GPUs. Without torchrun it is a group of one."""
    import torch
    import torch.distributed as dist

    alone = {} if "MASTER_ADDR" in os.environ else {"store": dist.HashStore(), "rank": 0, "world_size": 1}
    if device().type == "cuda":
        torch.cuda.set_device(device())
    backend = "cpu:gloo,cuda:nccl" if device().type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timeout, **alone)
    try:
        yield
    finally:
        dist.destroy_process_group()
