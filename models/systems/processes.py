"""Several processes that train or serve one model together, started by torchrun: how many there are, and how they meet and part."""

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
PIPELINE, DATA, TENSOR = "pipeline", "data", "tensor"
SILENCE = timedelta(minutes=10)  # after which a process that waits for another gives up; of one that died torchrun ends the others at once


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the three ways to share a model among processes."""

    data: int = 1
    tensor: int = 1
    pipeline: int = 1

    @property
    def processes(self) -> int:
        return self.data * self.tensor * self.pipeline

    def check(self, config: GroundedConfig) -> None:
        """Raises LayoutError where a model cannot be shared so, or where torchrun did not start as many processes."""
        for name, size in (("data", self.data), ("tensor", self.tensor), ("pipeline", self.pipeline)):
            if size < 1:
                raise LayoutError(f"--{name}-parallel must be at least 1, not {size}")
        if self.processes != world():
            sizes = f"{self.data} x {self.tensor} x {self.pipeline} (data x tensor x pipeline)"
            raise LayoutError(f"{sizes} are {self.processes} processes, and {world()} were started: start them with torchrun --nproc-per-node {self.processes}")
        if self.pipeline > config.num_hidden_layers:
            raise LayoutError(f"--pipeline-parallel {self.pipeline}: the decoder has {config.num_hidden_layers} layers, give at most {config.num_hidden_layers}")
        if config.model_type != "grounded":
            raise LayoutError(
                f"a {config.model_type} model is trained and served in one process: "
                "python -m models.systems.train, models.systems.write"
            )
        memory = config.memory_config
        divided = {
            "heads": config.num_attention_heads, "key-value heads": config.num_key_value_heads, "channels of the decoder": config.intermediate_size,
            "heads of the memory encoder": config.memory_heads or memory.num_attention_heads, "channels of the memory encoder": memory.intermediate_size,
        }  # fmt: skip
        for name, count in divided.items():
            if count % self.tensor:
                raise LayoutError(f"{self.tensor} tensor-parallel processes cannot share {count} {name} evenly: give a number that divides {count}")

    def mesh(self) -> DeviceMesh:
        from torch.distributed.device_mesh import init_device_mesh

        return init_device_mesh(device().type, (self.pipeline, self.data, self.tensor), mesh_dim_names=(PIPELINE, DATA, TENSOR))


def world() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", "0"))


def device() -> torch.device:
    import torch

    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if torch.cuda.is_available() else torch.device("cpu")


def agreed(check: Callable[[], Checked]) -> Checked:
    """What every process finds alike. Of an error that a user can cause only the first process tells; the others end without a word."""
    try:
        return check()
    except FolioError:
        if rank():
            raise SystemExit(0) from None
        raise


@contextmanager
def together(silence: timedelta = SILENCE) -> Iterator[None]:
    """While the processes can speak to each other: by gloo on a CPU, by nccl between GPUs."""
    import torch
    import torch.distributed as dist

    alone = {} if "MASTER_ADDR" in os.environ else {"store": dist.HashStore(), "rank": 0, "world_size": 1}
    if device().type == "cuda":
        torch.cuda.set_device(device())
    dist.init_process_group("cpu:gloo,cuda:nccl" if device().type == "cuda" else "gloo", timeout=silence, **alone)
    try:
        yield
    finally:
        dist.destroy_process_group()
