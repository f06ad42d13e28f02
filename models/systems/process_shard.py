"""One process of a parallel training run: its shard of the model, its optimizer and its part of a step.

In: a model, a layout (models.systems.processes) and the batches of each step. Out: steps of the optimizer that equal
those of one process, checkpoints of the shard, and the memory that it takes.
"""

from __future__ import annotations

import math
import resource
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.systems.processes import DATA, PIPELINE, TENSOR, Layout, device, rank

if TYPE_CHECKING:
    import torch
    from torch import distributed as dist
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh

    from models.systems.pipeline_stages import Stage
    from models.training.presets import Task
    from models.training.question_batches import QuestionBatch
    from models.training.training_loop import TrainConfig

EPSILON = 1e-6  # added to the norm of gradients, as torch.nn.utils.clip_grad_norm_ does


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes of a process: its parameters, its optimizer state, and the peak of the process (on a GPU, of the GPU)."""

    rank: int
    parameters: int
    optimizer: int
    peak: int


class Process:
    """The shard of this process. stage_rank, data_rank: its place in the pipeline and among the data-parallel ones."""

    def __init__(self, task: Task, layout: Layout, config: TrainConfig) -> None:
        import torch

        from models.systems.pipeline_stages import Stage
        from models.training.training_loop import parameter_groups, resolve_precision

        self.layout, self.config, self.mesh = layout, config, layout.mesh()
        self.stage_rank, self.data_rank = self.mesh.get_local_rank(PIPELINE), self.mesh.get_local_rank(DATA)
        own_name = _own_names(task.model)
        tied = {name for name, count in Counter(own_name.values()).items() if count > 1}
        precision = torch.bfloat16 if resolve_precision(config.precision) == "bf16" else None
        self.stage = Stage(task.model, self.stage_rank, layout.pipeline, precision).to(device())
        self.stage.train()
        if config.gradient_checkpointing:
            self.stage.model.activation_checkpointing_enable({"use_reentrant": False})
        self.replicated = shard(self.stage, self.mesh)
        groups = parameter_groups(self.stage.model, config.weight_decay, task.fresh)
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, foreach=False)
        self.weights = {own_name[name]: weight for name, weight in self.stage.model.named_parameters()}
        self.ends = self._ends_group()
        self.tied = []  # weights that the first and the last stage both hold
        if self.ends:
            self.tied = [weight for name, weight in self.weights.items() if name in tied and weight.requires_grad]

    def _ends_group(self) -> dist.ProcessGroup | None:
        """The group of this process and its counterpart at the other end of the pipeline; None between the ends.

        Every process creates every group, as torch demands.
        """
        from torch import distributed as dist

        if self.layout.pipeline == 1:
            return None
        ends = [0, self.layout.pipeline - 1]
        places = [(d, t) for d in range(self.layout.data) for t in range(self.layout.tensor)]
        groups = [dist.new_group(self.mesh.mesh[ends, d, t].tolist()) for d, t in places]
        own = self.data_rank * self.layout.tensor + self.mesh.get_local_rank(TENSOR)
        return groups[own] if self.stage_rank in ends else None

    def step(
        self, batches: Sequence[QuestionBatch], weights: Sequence[float], rate: float, due: float
    ) -> tuple[dict[str, float], float]:
        """One step of the optimizer on the batches of this process; called by every process.

        weights: of each batch's loss. rate: learning rate. Returns the parts of the loss over the batches of all
        processes, and the sum of every process's `due`.
        """
        import torch
        from torch import distributed as dist

        self.stage.begin([batch.to(device()) for batch in batches], weights)
        self._backward()
        for weight in self.replicated:
            dist.all_reduce(weight.grad, group=self.mesh[DATA].get_group())
            weight.grad /= self.layout.data
        for weight in self.tied:
            dist.all_reduce(local(weight.grad), group=self.ends)
        sums = torch.zeros(2 + len(self.stage.names), device=device())
        sums[0], sums[1] = self._squares(), due
        if self.stage.last:
            sums[2:] = torch.stack(self.stage.loss_parts).sum(0) / (self.layout.data * self.layout.tensor)
        dist.all_reduce(sums)
        squares, due, *parts = sums.tolist()
        scale = min(1.0, self.config.clip / (squares**0.5 + EPSILON))
        for weight in self.weights.values():
            if weight.grad is not None:
                local(weight.grad).mul_(scale)
        for group in self.optimizer.param_groups:
            group["lr"] = group["scale"] * rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return dict(zip(self.stage.names, parts, strict=True)), due

    def _backward(self) -> None:
        """Forward and backward passes of all batches, through the pipeline where there is one."""
        import torch
        from torch.distributed.pipelining import PipelineStage, Schedule1F1B

        stage, numbers = self.stage, torch.arange(len(self.stage.batches), device=device())
        if self.layout.pipeline == 1:
            for number in numbers:
                stage(number=number).backward()
            return
        shapes = stage.boundary_shapes()
        boundary = tuple(torch.empty(shape, device="meta", requires_grad=True) for shape in shapes)
        loss = torch.empty(1, device="meta", requires_grad=True)
        piped = PipelineStage(
            stage, self.stage_rank, self.layout.pipeline, device(), group=self.mesh[PIPELINE].get_group(),
            input_args=() if stage.first else boundary, output_args=loss if stage.last else boundary,
        )  # fmt: skip
        schedule = Schedule1F1B(piped, len(numbers), loss_fn=lambda loss, _: loss.sum(), scale_grads=False)
        schedule.step(target=numbers, number=numbers, return_outputs=False)

    def _squares(self) -> float:
        """This process's share of the sum of all squared gradients; a weight of n processes counts 1/n in each."""
        total, processes = 0.0, self.layout.data * self.layout.tensor
        doubled = set(map(id, self.tied))
        for weight in self.weights.values():
            if weight.grad is not None:
                copies = processes / _shards(weight) * (2 if id(weight) in doubled else 1)
                total += float(local(weight.grad).float().square().sum()) / copies
        return total

    def save(self, plan: dict[str, int], done: int, folder: Path) -> None:
        """See models.systems.sharded_checkpoints.save."""
        from models.systems import sharded_checkpoints

        state = sharded_checkpoints.state_of(self.weights, self.optimizer)
        sharded_checkpoints.save(state, self.stage.model.config, plan, done, folder)

    def resume(self, plan: dict[str, int], folder: Path) -> int:
        """Batches done so far. Raises TrainError."""
        from models.systems import sharded_checkpoints

        return sharded_checkpoints.resume(sharded_checkpoints.state_of(self.weights, self.optimizer), plan, folder)

    def memory_use(self) -> MemoryUse:
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        return MemoryUse(
            rank(), sum(map(local_bytes, self.stage.parameters())), sum(map(local_bytes, state)), peak_bytes()
        )


def shard(stage: Stage, mesh: DeviceMesh) -> list[nn.Parameter]:
    """Share heads among tensor-parallel processes, and all weights among data-parallel ones, by FSDP2.

    Returns the trained weights that every data-parallel process holds whole, as FSDP2 cannot shard them: scalars.
    """
    from torch.distributed.fsdp import fully_shard

    from models.systems.pipeline_stages import PassThrough
    from models.systems.tensor_parallel import share_heads

    if mesh[TENSOR].size() > 1:
        share_heads(stage.model, mesh[TENSOR])
    if mesh[DATA].size() == 1:
        return []
    scalars = [weight for weight in stage.parameters() if not weight.ndim]
    layers = [*stage.model.model.layers]
    if not isinstance(stage.model.memory, PassThrough):
        layers += stage.model.memory.bert.encoder.layer
    for module in [*(layer for layer in layers if not isinstance(layer, PassThrough)), stage]:
        fully_shard(module, mesh=mesh[DATA], ignored_params=set(scalars))
    return [weight for weight in scalars if weight.requires_grad]


def _own_names(model: nn.Module) -> dict[str, str]:
    """Each parameter's name -> the name that it is saved by: of tied weights, the first one's."""
    parameters = list(model.named_parameters(remove_duplicate=False))
    first = {id(weight): name for name, weight in reversed(parameters)}
    return {name: first[id(weight)] for name, weight in parameters}


def _shards(weight: torch.Tensor) -> int:
    """Among how many processes a weight is divided."""
    from torch.distributed.tensor import DTensor

    if not isinstance(weight, DTensor):
        return 1
    sizes = zip(weight.device_mesh.shape, weight.placements, strict=True)
    return math.prod(size for size, placement in sizes if placement.is_shard())


def local(values: torch.Tensor) -> torch.Tensor:
    """The part of a tensor that this process holds."""
    from torch.distributed.tensor import DTensor

    return values.to_local() if isinstance(values, DTensor) else values


def peak_bytes() -> int:
    """The most memory that this process had at once; on a GPU, of the GPU."""
    import torch

    if device().type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux gives KiB


def local_bytes(values: torch.Tensor) -> int:
    return local(values).numel() * values.element_size()
