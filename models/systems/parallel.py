"""torchrun --nproc-per-node N -m models.systems.parallel --data PREPARED --out RUN --data-parallel D --tensor-parallel T --pipeline-parallel P

Trains a grounded model in N = D x T x P processes, with the steps, the loss and the log of models.training.train: a step's --accumulate batches are shared among D
processes whose weights, gradients and optimizer are sharded (FSDP2; ZeRO, arXiv 1910.02054), and go one after the other through P stages (1F1B). The same command goes on with a
run that was cut off, in another layout too. `python -m models.systems.parallel --out RUN --export DIR` writes its newest checkpoint as a plain model.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common import command_line
from models.common.errors import TrainError
from models.systems.process_shard import Held, Process
from models.systems.processes import Layout, agreed, rank, together
from models.training import trainer_flags

if TYPE_CHECKING:
    from models.training.presets import Task
    from models.training.training_loop import TrainConfig

NAMES = ("embedded", "tiny")  # of models.training.presets: those that are grounded models
SHARDS, ZERO = "shards", "zero"  # in the folder of a run: checkpoints, and those of DeepSpeed
EVERY = 50  # batches between two lines of the log, as in models.training.training_loop


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


def train(task: Task, layout: Layout, config: TrainConfig, out: Path, zero: int = 0) -> Trained:
    """To the end, from the run's newest checkpoint where it has one; called by every process. zero: DeepSpeed's stage, where it shards and not FSDP2.

    Raises DataError, TrainError.
    """
    from torch import distributed as dist
    from tqdm import tqdm

    from models.common.errors import DataError
    from models.systems.zero import ZeroProcess
    from models.training.train import Epoch
    from models.training.training_loop import rewind, schedule, write_line

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
    from models.common.checkpoint import new_folder, open_model
    from models.network.grounded import GroundedForCausalLM
    from models.systems import sharded_checkpoints
    from models.systems.zero import WHOLE

    by_zero = sharded_checkpoints.newest(run / ZERO)
    model = open_model(GroundedForCausalLM, by_zero / WHOLE) if by_zero else sharded_checkpoints.opened(run / SHARDS)
    with new_folder(folder) as new:
        model.save_pretrained(new)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torchrun --nproc-per-node N -m models.systems.parallel", description="Train a grounded model in several processes.")
    parser.add_argument("--preset", choices=NAMES, default=NAMES[0])
    parser.add_argument("--data", type=Path, help="what python -m models.training.prepare_data wrote")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run found there is gone on with")
    parser.add_argument("--start", type=Path, help="a trained model's folder to begin with")
    for name, what in (("data", "share the batches and shard weights and optimizer"), ("tensor", "share heads and channels"), ("pipeline", "share layers")):
        parser.add_argument(f"--{name}-parallel", type=int, default=1, metavar="N", help=f"processes that {what}")
    parser.add_argument("--zero", type=int, default=0, metavar="STAGE", help="shard by DeepSpeed's ZeRO, which is not installed, in place of FSDP2 (stage 3)")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write the run's newest checkpoint as a plain model, in one process, and train nothing")
    parser.add_argument("--json", action="store_true")
    trainer_flags.add(parser)
    return parser


def prepare(options: argparse.Namespace) -> tuple[Task, Layout, TrainConfig]:
    """All that can be refused before anything is written. Raises DataError, TrainError, WeightsError."""
    import torch

    from models.systems import zero
    from models.training.presets import PRESETS

    if options.data is None:
        raise TrainError("--data is missing: give what python -m models.training.prepare_data wrote")
    layout = Layout(options.data_parallel, options.tensor_parallel, options.pipeline_parallel)
    defaults, make = PRESETS[options.preset]
    config = trainer_flags.given(options, replace(defaults, accumulate=max(1, layout.data * layout.pipeline)))
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
    raise SystemExit(command_line.run(main))
