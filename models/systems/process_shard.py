"""One of the processes that train a model together: its stage of the model, what it holds of that stage's weights, and its steps of the optimizer."""

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
    from torch.distributed.device_mesh import DeviceMesh

    from models.systems.pipeline_stages import Stage
    from models.training.presets import Task
    from models.training.question_batches import QuestionBatch
    from models.training.training_loop import TrainConfig


@dataclass(frozen=True, slots=True)
class Held:
    """What one process has of the model, in bytes. peak: the most that the process had at once, on a GPU of its memory."""

    rank: int
    parameters: int
    optimizer: int
    peak: int


class Process:
    """One of the processes: its stage of the model, and the optimizer of what it holds."""

    def __init__(self, task: Task, layout: Layout, config: TrainConfig) -> None:
        import torch
        from torch import distributed as dist

        from models.systems.pipeline_stages import Stage
        from models.training.training_loop import parameter_groups, resolve_precision

        self.layout, self.config, self.mesh = layout, config, layout.mesh()
        self.at, self.part = self.mesh.get_local_rank(PIPELINE), self.mesh.get_local_rank(DATA)
        first_name = {id(weight): name for name, weight in reversed(list(task.model.named_parameters(remove_duplicate=False)))}
        own_name = {name: first_name[id(weight)] for name, weight in task.model.named_parameters(remove_duplicate=False)}  # of tied weights the first
        tied = {name for name, count in Counter(own_name.values()).items() if count > 1}
        precision = torch.bfloat16 if resolve_precision(config.precision) == "bf16" else None
        self.stage = Stage(task.model, self.at, layout.pipeline, precision).to(device())
        self.stage.train()
        if config.gradient_checkpointing:
            self.stage.model.activation_checkpointing_enable({"use_reentrant": False})
        self.whole = share(self.stage, self.mesh)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.stage.model, config.weight_decay, task.fresh), lr=config.learning_rate, foreach=False)
        self.weights = {own_name[name]: weight for name, weight in self.stage.model.named_parameters()}
        ends = {0, layout.pipeline - 1}
        pairs = [dist.new_group(self.mesh.mesh[sorted(ends), d, t].tolist()) for d in range(layout.data) for t in range(layout.tensor)] if len(ends) > 1 else []
        self.ends = pairs[self.part * layout.tensor + self.mesh.get_local_rank(TENSOR)] if pairs and self.at in ends else None
        self.tied = [weight for name, weight in self.weights.items() if name in tied and weight.requires_grad] if self.ends else []  # the last stage has them too

    def step(self, batches: Sequence[QuestionBatch], weights: Sequence[float], rate: float, more: float) -> tuple[dict[str, float], float]:
        """One step of the optimizer on the batches of this process. Returns what all processes' batches have told, and the sum of what each gave as `more`."""
        import torch
        from torch import distributed as dist

        self.stage.begin([batch.to(device()) for batch in batches], weights)
        self._backward()
        for weight in self.whole:
            dist.all_reduce(weight.grad, group=self.mesh[DATA].get_group())
            weight.grad /= self.layout.data
        for weight in self.tied:
            dist.all_reduce(local(weight.grad), group=self.ends)
        told = torch.zeros(2 + len(self.stage.names), device=device())
        told[0], told[1] = self._squares(), more
        if self.stage.last:
            told[2:] = torch.stack(self.stage.told).sum(0) / (self.layout.data * self.layout.tensor)
        dist.all_reduce(told)
        squares, more, *parts = told.tolist()
        scale = min(1.0, self.config.clip / (squares**0.5 + 1e-6))
        for weight in self.weights.values():
            if weight.grad is not None:
                local(weight.grad).mul_(scale)
        for group in self.optimizer.param_groups:
            group["lr"] = group["scale"] * rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return dict(zip(self.stage.names, parts, strict=True)), more

    def _backward(self) -> None:
        import torch
        from torch.distributed.pipelining import PipelineStage, Schedule1F1B

        stage, numbers = self.stage, torch.arange(len(self.stage.batches), device=device())
        if self.layout.pipeline == 1:
            for number in numbers:
                stage(number=number).backward()
            return
        shapes = stage.travelling()
        travelling = tuple(torch.empty(shape, device="meta", requires_grad=True) for shape in shapes)
        loss = torch.empty(1, device="meta", requires_grad=True)
        ends = {"input_args": () if stage.first else travelling, "output_args": loss if stage.last else travelling}
        piped = PipelineStage(stage, self.at, self.layout.pipeline, device(), group=self.mesh[PIPELINE].get_group(), **ends)
        schedule = Schedule1F1B(piped, len(numbers), loss_fn=lambda loss, _: loss.sum(), scale_grads=False)
        schedule.step(target=numbers, number=numbers, return_outputs=False)

    def _squares(self) -> float:
        """This process's share of the sum of all squared gradients: of what several hold alike each counts its part."""
        from torch.distributed.tensor import DTensor

        total, alike = 0.0, self.layout.data * self.layout.tensor
        doubled = set(map(id, self.tied))
        for weight in self.weights.values():
            if weight.grad is not None:
                parted = [size for size, place in zip(weight.device_mesh.shape, weight.placements, strict=True) if place.is_shard()] if isinstance(weight, DTensor) else []
                copies = alike / math.prod(parted) * (2 if id(weight) in doubled else 1)
                total += float(local(weight.grad).float().square().sum()) / copies
        return total

    def save(self, plan: dict[str, int], done: int, folder: Path) -> None:
        from models.systems import sharded_checkpoints

        sharded_checkpoints.save(sharded_checkpoints.state_of(self.weights, self.optimizer), self.stage.model.config, plan, done, folder)

    def resume(self, plan: dict[str, int], folder: Path) -> int:
        """Batches done so far. Raises TrainError."""
        from models.systems import sharded_checkpoints

        return sharded_checkpoints.resume(sharded_checkpoints.state_of(self.weights, self.optimizer), plan, folder)

    def held(self) -> Held:
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        return Held(rank(), sum(map(held_bytes, self.stage.parameters())), sum(map(held_bytes, state)), peak())


def share(stage: Stage, mesh: DeviceMesh) -> list[torch.nn.Parameter]:
    """Share heads among tensor-parallel processes, and all weights among data-parallel ones. Returns the weights that these hold whole: single numbers."""
    from torch.distributed.fsdp import fully_shard

    from models.systems.pipeline_stages import Elsewhere
    from models.systems.tensor_parallel import share_heads

    if mesh[TENSOR].size() > 1:
        share_heads(stage.model, mesh[TENSOR])
    if mesh[DATA].size() == 1:
        return []
    whole = [weight for weight in stage.parameters() if not weight.ndim]
    layers = [*stage.model.model.layers, *([] if isinstance(stage.model.memory, Elsewhere) else stage.model.memory.bert.encoder.layer)]
    for module in [*(layer for layer in layers if not isinstance(layer, Elsewhere)), stage]:
        fully_shard(module, mesh=mesh[DATA], ignored_params=set(whole))
    return [weight for weight in whole if weight.requires_grad]


def local(values: torch.Tensor) -> torch.Tensor:
    """What this process holds of it."""
    from torch.distributed.tensor import DTensor

    return values.to_local() if isinstance(values, DTensor) else values


def peak() -> int:
    """The most memory that this process had at once, in bytes: on a GPU of that."""
    import torch

    return torch.cuda.max_memory_allocated() if device().type == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def held_bytes(values: torch.Tensor) -> int:
    return local(values).numel() * values.element_size()
