"""torchrun --nproc-per-node N -m models.parallel --data PREPARED --out RUN --data-parallel D --tensor-parallel T --pipeline-parallel P

Trains a grounded model in N = D x T x P processes, with the steps, the loss and the log of models.train: a step's --accumulate batches are shared among D
processes whose weights, gradients and optimizer are sharded (FSDP2; ZeRO, arXiv 1910.02054), and go one after the other through P stages (1F1B). The same command goes on with a
run that was cut off, in another layout too. `python -m models.parallel --out RUN --export DIR` writes its newest checkpoint as a plain model.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import command, flags
from models.errors import TrainError, WeightsError
from models.processes import DATA, PIPELINE, TENSOR, Layout, agreed, device, rank, together

if TYPE_CHECKING:
    import torch
    from torch.distributed.device_mesh import DeviceMesh

    from models.loop import TrainConfig
    from models.presets import Task
    from models.questions import QuestionBatch
    from models.stages import Stage

NAMES = ("embedded", "tiny")  # of models.presets: those that are grounded models
SHARDS, ZERO = "shards", "zero"  # in the folder of a run: checkpoints, and those of DeepSpeed
EVERY = 50  # batches between two lines of the log, as in models.loop


@dataclass(frozen=True, slots=True)
class Held:
    """What one process has of the model, in bytes. peak: the most that the process had at once, on a GPU of its memory."""

    rank: int
    parameters: int
    optimizer: int
    peak: int


@dataclass(frozen=True, slots=True)
class Trained:
    """losses: of each step of this call, the mean over the step's batches."""

    losses: list[float]
    seconds: float
    held: list[Held]


@dataclass(frozen=True, slots=True)
class Step:
    """The batches between two steps of the optimizer: of which epoch, and which. done: batches of the run when it is over."""

    epoch: int
    batches: range
    done: int


def steps(lengths: Sequence[int], total: int, accumulate: int) -> Iterator[Step]:
    """lengths: batches of each epoch."""
    done = 0
    for epoch, length in enumerate(lengths):
        for first in range(0, min(length, total - done), accumulate):
            batches = range(first, min(first + accumulate, length, first + total - done))
            done += len(batches)
            yield Step(epoch, batches, done)


class Process:
    """One of the processes: its stage of the model, and the optimizer of what it holds."""

    def __init__(self, task: Task, layout: Layout, config: TrainConfig) -> None:
        import torch
        from torch import distributed as dist

        from models.loop import parameter_groups, resolve_precision
        from models.stages import Stage

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
                copies = alike / _product(parted) * (2 if id(weight) in doubled else 1)
                total += float(local(weight.grad).float().square().sum()) / copies
        return total

    def save(self, plan: dict[str, int], done: int, folder: Path) -> None:
        from models import sharded

        sharded.save(sharded.state_of(self.weights, self.optimizer), self.stage.model.config, plan, done, folder)

    def resume(self, plan: dict[str, int], folder: Path) -> int:
        """Batches done so far. Raises TrainError."""
        from models import sharded

        return sharded.resume(sharded.state_of(self.weights, self.optimizer), plan, folder)

    def held(self) -> Held:
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        return Held(rank(), sum(map(held_bytes, self.stage.parameters())), sum(map(held_bytes, state)), peak())


def share(stage: Stage, mesh: DeviceMesh) -> list[torch.nn.Parameter]:
    """Share heads among tensor-parallel processes, and all weights among data-parallel ones. Returns the weights that these hold whole: single numbers."""
    from torch.distributed.fsdp import fully_shard

    from models.stages import Elsewhere
    from models.tensor_parallel import share_heads

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


def _product(sizes: Sequence[int]) -> int:
    made = 1
    for size in sizes:
        made *= size
    return made


def held_bytes(values: torch.Tensor) -> int:
    return local(values).numel() * values.element_size()


def train(task: Task, layout: Layout, config: TrainConfig, out: Path, zero: int = 0) -> Trained:
    """To the end, from the run's newest checkpoint where it has one; called by every process. zero: DeepSpeed's stage, where it shards and not FSDP2.

    Raises DataError, TrainError.
    """
    from torch import distributed as dist
    from tqdm import tqdm

    from models.errors import DataError
    from models.loop import rewind, schedule, write_line
    from models.train import Epoch
    from models.zero import ZeroProcess

    orders = [Epoch(task.examples, task.examples.order(config.tokens, config.seed, epoch)) for epoch in range(config.epochs)]
    total = sum(map(len, orders))
    total = min(total, config.batches or total)
    if not total:
        raise DataError("there are no examples to train on")
    process = ZeroProcess(task, layout, config, zero) if zero else Process(task, layout, config)
    kept = out / (ZERO if zero else SHARDS)
    plan = {"batches": total, "seed": config.seed, "accumulate": config.accumulate}
    begun = process.resume(plan, kept)
    log = None
    if not rank():
        out.mkdir(parents=True, exist_ok=True)
        (out / "train.json").write_text(json.dumps({**asdict(config), "layout": asdict(layout)}, indent=2) + "\n")
        rewind(out / "log.jsonl", begun)
        log = (out / "log.jsonl").open("a")
    bar = tqdm(total=total, initial=begun, desc=out.name, disable=True if rank() else None, mininterval=1)
    losses, told, saved, started = [], [], time.monotonic(), time.monotonic()
    mine = process.part
    for step in steps([len(order) for order in orders], total, config.accumulate):
        if step.done <= begun:
            continue
        count = len(step.batches)
        shared = [*step.batches, *[step.batches[0]] * (config.accumulate - count)]  # filled up by batches that count for nothing
        weights = [layout.data / count] * count + [0.0] * (config.accumulate - count)
        due = not rank() and time.monotonic() - saved > 60 * config.save_minutes
        rate = config.learning_rate * schedule(step.done - 1, total, config.warmup)
        batches = [orders[step.epoch][at] for at in shared[mine :: layout.data]]
        parts, due = process.step(batches, weights[mine :: layout.data], rate, float(due))
        losses.append(parts["loss"])
        told.append(parts)
        bar.update(count)
        if log and (step.done // EVERY > (step.done - count) // EVERY or step.done == total):
            line = {name: round(sum(one[name] for one in told) / len(told), 4) for name in parts}
            write_line(log, {"step": step.done, "of": total, "seconds": round(time.monotonic() - started, 1), **line})
            bar.set_postfix(loss=line["loss"])
            told = []
        if due or step.done == total:
            process.save(plan, step.done, kept)
            saved = time.monotonic()
    bar.close()
    if log:
        log.close()
    held: list[Any] = [None] * layout.processes
    dist.all_gather_object(held, process.held())
    return Trained(losses, time.monotonic() - started, held)


def export(run: Path, folder: Path) -> None:
    """The newest checkpoint of a run as a folder that GroundedForCausalLM.from_pretrained opens. Raises WeightsError."""
    from models import sharded
    from models.checkpoint import open_model
    from models.grounded import GroundedForCausalLM
    from models.zero import WHOLE

    if folder.exists():
        raise WeightsError(f"{folder} is there already: name a new folder")
    by_zero = sharded.newest(run / ZERO)
    model = open_model(GroundedForCausalLM, by_zero / WHOLE) if by_zero else sharded.opened(run / SHARDS)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        model.save_pretrained(new)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # what was not renamed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torchrun --nproc-per-node N -m models.parallel", description="Train a grounded model in several processes.")
    parser.add_argument("--preset", choices=NAMES, default=NAMES[0])
    parser.add_argument("--data", type=Path, help="what python -m models.data wrote")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run found there is gone on with")
    parser.add_argument("--start", type=Path, help="a trained model's folder to begin with")
    for name, what in (("data", "share the batches and shard weights and optimizer"), ("tensor", "share heads and channels"), ("pipeline", "share layers")):
        parser.add_argument(f"--{name}-parallel", type=int, default=1, metavar="N", help=f"processes that {what}")
    parser.add_argument("--zero", type=int, default=0, metavar="STAGE", help="shard by DeepSpeed's ZeRO, which is not installed, in place of FSDP2 (stage 3)")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write the run's newest checkpoint as a plain model, in one process, and train nothing")
    parser.add_argument("--json", action="store_true")
    flags.add(parser)
    return parser


def prepare(options: argparse.Namespace) -> tuple[Task, Layout, TrainConfig]:
    """All that can be refused before anything is written. Raises DataError, TrainError, WeightsError."""
    import torch

    from models import zero
    from models.presets import PRESETS

    if options.data is None:
        raise TrainError("--data is missing: give what python -m models.data wrote")
    layout = Layout(options.data_parallel, options.tensor_parallel, options.pipeline_parallel)
    defaults, make = PRESETS[options.preset]
    config = flags.given(options, replace(defaults, accumulate=max(1, layout.data * layout.pipeline)))
    if options.zero:
        zero.check(options.zero, layout)
    if config.compile:
        raise TrainError("--compile is not known to work on shared layers: leave it out")
    torch.manual_seed(config.seed)
    task = make(options.data, options.start, None)
    layout.check(task.model.config)
    if config.accumulate % layout.data or config.accumulate < layout.data * layout.pipeline:
        least = layout.data * layout.pipeline
        raise TrainError(f"--accumulate {config.accumulate}: {layout.data} x {layout.pipeline} processes share a step's batches, give {least} or a larger multiple of {layout.data}")
    return task, layout, config


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if options.export:
        export(options.out, options.export)
        print(json.dumps({"model": str(options.export)}) if options.json else f"{options.export}: open it with --model")
        return
    task, layout, config = agreed(lambda: prepare(options))
    with together():
        made = train(task, layout, config, options.out, options.zero)
    if rank():
        return
    if options.json:
        print(json.dumps(asdict(made)))
        return
    print(f"{options.out}: {len(made.losses)} steps in {made.seconds:.0f} s, loss {made.losses[-1]:.4f}" if made.losses else f"{options.out}: nothing was left to do")
    for one in made.held:
        print(f"process {one.rank}: parameters {one.parameters / 1e6:.1f} MB, optimizer {one.optimizer / 1e6:.1f} MB, peak {one.peak / 1e6:.0f} MB")


if __name__ == "__main__":
    raise SystemExit(command.run(main))
