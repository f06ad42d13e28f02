"""torchrun --nproc-per-node N -m models.systems.parallel --data PREPARED --out RUN: training in several processes.

N is the product of --data-parallel D, --tensor-parallel T and --pipeline-parallel P. Steps, loss and log are those of
models.training.train. A step's --accumulate batches are divided among D groups of processes, which shard weights,
gradients and optimizer state (FSDP2; ZeRO, arXiv 1910.02054); each group passes its batches through P stages (1F1B,
arXiv 1806.03377) and shares heads among T processes (Megatron-LM, arXiv 1909.08053). The same command continues an
interrupted run, in another layout too. `python -m models.systems.parallel --out RUN --export DIR` writes the newest
checkpoint as a plain model.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common import command_line
from models.common.errors import TrainError
from models.systems.process_shard import MemoryUse, Process
from models.systems.processes import Layout, process_group, rank, reported_once
from models.training import trainer_flags

if TYPE_CHECKING:
    from models.training.presets import Task
    from models.training.train import Epoch
    from models.training.training_loop import TrainConfig

PRESET_NAMES = ("embedded", "tiny")  # those of models.training.presets that are grounded models
SHARDS, ZERO = "shards", "zero"  # folders of a run: checkpoints of FSDP2, and those of DeepSpeed
LOG_EVERY = 50  # batches between two lines of the log, as in models.training.training_loop


@dataclass(frozen=True, slots=True)
class Trained:
    """losses: of each step of this call, the mean over the step's batches. memory: of every process."""

    losses: list[float]
    seconds: float
    memory: list[MemoryUse]


@dataclass(frozen=True, slots=True)
class Step:
    """The batches between two steps of the optimizer, of one epoch. done: batches of the run after it."""

    epoch: int
    batches: range
    done: int


def steps(lengths: Sequence[int], total: int, accumulate: int) -> Iterator[Step]:
    """The steps of a run of `total` batches. lengths: batches of each epoch; accumulate: batches of a step."""
    done = 0
    for epoch, length in enumerate(lengths):
        for first in range(0, min(length, total - done), accumulate):
            batches = range(first, min(first + accumulate, length, first + total - done))
            done += len(batches)
            yield Step(epoch, batches, done)


class Progress:
    """The progress bar and the log of a run, in the process of rank 0; others show and write nothing."""

    def __init__(self, out: Path, layout: Layout, config: TrainConfig, begun: int, total: int) -> None:
        from tqdm import tqdm

        from models.training.training_loop import rewind

        self._total, self._started = total, time.monotonic()
        self._parts: list[dict[str, float]] = []  # of the loss, since the last line
        self._log = None
        if not rank():
            out.mkdir(parents=True, exist_ok=True)
            settings = {**asdict(config), "layout": asdict(layout)}
            (out / "train.json").write_text(json.dumps(settings, indent=2) + "\n")
            rewind(out / "log.jsonl", begun)
            self._log = (out / "log.jsonl").open("a")
        hidden = True if rank() else None
        self._bar = tqdm(total=total, initial=begun, desc=out.name, disable=hidden, mininterval=1)

    def add(self, step: Step, parts: dict[str, float]) -> None:
        """A step is done. parts: of its loss, means over the step's batches."""
        from models.training.training_loop import write_line

        count = len(step.batches)
        self._parts.append(parts)
        self._bar.update(count)
        due = step.done // LOG_EVERY > (step.done - count) // LOG_EVERY or step.done == self._total
        if self._log and due:
            means = {name: round(sum(one[name] for one in self._parts) / len(self._parts), 4) for name in parts}
            seconds = round(time.monotonic() - self._started, 1)
            write_line(self._log, {"step": step.done, "of": self._total, "seconds": seconds, **means})
            self._bar.set_postfix(loss=means["loss"])
            self._parts = []

    def close(self) -> None:
        self._bar.close()
        if self._log:
            self._log.close()


def train(task: Task, layout: Layout, config: TrainConfig, out: Path, zero: int = 0) -> Trained:
    """Train to the end, from the run's newest checkpoint where it has one; called by every process.

    zero: the stage of DeepSpeed's ZeRO to shard by, 0 for FSDP2. Raises DataError, TrainError.
    """
    from torch import distributed as dist

    from models.common.errors import DataError
    from models.systems.zero import ZeroProcess
    from models.training.train import Epoch
    from models.training.training_loop import schedule

    examples = task.examples
    epochs = [Epoch(examples, examples.order(config.tokens, config.seed, number)) for number in range(config.epochs)]
    total = sum(map(len, epochs))
    total = min(total, config.batches or total)
    if not total:
        raise DataError("there are no examples to train on")
    process = ZeroProcess(task, layout, config, zero) if zero else Process(task, layout, config)
    checkpoints = out / (ZERO if zero else SHARDS)
    plan = {"batches": total, "seed": config.seed, "accumulate": config.accumulate}
    begun = process.resume(plan, checkpoints)
    losses, started = [], time.monotonic()
    saved = started
    with closing(Progress(out, layout, config, begun, total)) as progress:
        for step in steps([len(order) for order in epochs], total, config.accumulate):
            if step.done <= begun:
                continue
            batches, weights = _own_batches(step, epochs[step.epoch], config.accumulate, layout, process.data_rank)
            due = not rank() and time.monotonic() - saved > 60 * config.save_minutes
            rate = config.learning_rate * schedule(step.done - 1, total, config.warmup)
            parts, due = process.step(batches, weights, rate, float(due))
            losses.append(parts["loss"])
            progress.add(step, parts)
            if due or step.done == total:
                process.save(plan, step.done, checkpoints)
                saved = time.monotonic()
    memory: list[Any] = [None] * layout.processes
    dist.all_gather_object(memory, process.memory_use())
    return Trained(losses, time.monotonic() - started, memory)


def _own_batches(
    step: Step, epoch: Epoch, accumulate: int, layout: Layout, data_rank: int
) -> tuple[list[Any], list[float]]:
    """The batches of a step that one data-parallel process computes, and the weight of each one's loss.

    Every process computes as many: the last step of an epoch is filled up with batches of weight 0.
    """
    count = len(step.batches)
    numbers = [*step.batches, *[step.batches[0]] * (accumulate - count)]
    weights = [layout.data / count] * count + [0.0] * (accumulate - count)
    return [epoch[at] for at in numbers[data_rank :: layout.data]], weights[data_rank :: layout.data]


def export(run: Path, folder: Path) -> None:
    """Write a run's newest checkpoint so that GroundedForCausalLM.from_pretrained opens it. Raises WeightsError."""
    from models.common.checkpoint import new_folder, open_model
    from models.network.grounded import GroundedForCausalLM
    from models.systems import sharded_checkpoints
    from models.systems.zero import WHOLE

    by_zero = sharded_checkpoints.newest(run / ZERO)
    opened = sharded_checkpoints.opened
    model = open_model(GroundedForCausalLM, by_zero / WHOLE) if by_zero else opened(run / SHARDS)
    with new_folder(folder) as new:
        model.save_pretrained(new)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="torchrun --nproc-per-node N -m models.systems.parallel",
        description="Train a grounded model in several processes.",
    )
    add = parser.add_argument
    add("--preset", choices=PRESET_NAMES, default=PRESET_NAMES[0])
    add("--data", type=Path, help="what python -m models.training.prepare_data wrote")
    add("--out", type=Path, required=True, help="the run's folder; a run found there is gone on with")
    add("--start", type=Path, help="a trained model's folder to begin with")
    kinds = {
        "data": "share the batches and shard weights and optimizer",
        "tensor": "share heads and channels",
        "pipeline": "share layers",
    }
    for name, what in kinds.items():
        add(f"--{name}-parallel", type=int, default=1, metavar="N", help=f"processes that {what}")
    add(
        "--zero", type=int, default=0, metavar="STAGE",
        help="shard by DeepSpeed's ZeRO, which is not installed, in place of FSDP2 (stage 3)",
    )  # fmt: skip
    add(
        "--export", type=Path, metavar="DIR",
        help="write the run's newest checkpoint as a plain model, in one process, and train nothing",
    )  # fmt: skip
    add("--json", action="store_true")
    trainer_flags.add(parser)
    return parser


def prepare(options: argparse.Namespace) -> tuple[Task, Layout, TrainConfig]:
    """What is to be trained. Everything is checked before anything is written: DataError, TrainError, WeightsError."""
    import torch

    from models.systems import zero
    from models.training.presets import PRESETS

    if options.data is None:
        raise TrainError("--data is missing: give what python -m models.training.prepare_data wrote")
    layout = Layout(options.data_parallel, options.tensor_parallel, options.pipeline_parallel)
    defaults, make = PRESETS[options.preset]
    least = layout.data * layout.pipeline  # batches of a step: one for each stage of each group
    config = trainer_flags.given(options, replace(defaults, accumulate=max(1, least)))
    if options.zero:
        zero.check(options.zero, layout)
    if config.compile:
        raise TrainError("--compile is not known to work on shared layers: leave it out")
    torch.manual_seed(config.seed)
    task = make(options.data, options.start, None)
    layout.check(task.model.config)
    if config.accumulate % layout.data or config.accumulate < least:
        raise TrainError(
            f"--accumulate {config.accumulate}: {layout.data} x {layout.pipeline} processes share a step's batches, "
            f"give {least} or a larger multiple of {layout.data}"
        )
    return task, layout, config


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if options.export:
        export(options.out, options.export)
        plain = f"{options.export}: open it with --model"
        print(json.dumps({"model": str(options.export)}) if options.json else plain)
        return
    task, layout, config = reported_once(lambda: prepare(options))
    with process_group():
        trained = train(task, layout, config, options.out, options.zero)
    if rank():
        return
    if options.json:
        print(json.dumps(asdict(trained)))
        return
    done = "nothing was left to do"
    if trained.losses:
        done = f"{len(trained.losses)} steps in {trained.seconds:.0f} s, loss {trained.losses[-1]:.4f}"
    print(f"{options.out}: {done}")
    for one in trained.memory:
        sizes = f"parameters {one.parameters / 1e6:.1f} MB, optimizer {one.optimizer / 1e6:.1f} MB"
        print(f"process {one.rank}: {sizes}, peak {one.peak / 1e6:.0f} MB")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
