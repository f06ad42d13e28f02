"""The training loop that every trainer shares: accelerate, checkpoints, a JSONL log. Knows no model and no data.

In: a model, its batches and its loss. Out: the trained model, and a folder with `train.json`, `log.jsonl` and
`checkpoint/`, which is replaced as a whole, so that a kill leaves the old one or the new one. A run that was cut off
and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch
from torch import nn
from tqdm import tqdm

from models.common.errors import DataError, TrainError

if TYPE_CHECKING:
    from accelerate import Accelerator

Loss = Callable[[nn.Module, Any], dict[str, torch.Tensor]]  # (model, batch) -> parts, the sum to minimise as "loss"

TORCH_STATE = "state.pt"
FRESH = 4.0  # times the learning rate; chosen by hand
LOG_EVERY = 50  # batches between two lines of the log
SEED_STRIDE = 1_000_003  # a prime above the batches of a run, so that runs of two seeds share no dropout
RECOMPILATIONS = 64  # of one layer by torch.compile, whose default of 8 is too few: every layer of a model counts
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a run. Raises TrainError for a value that cannot be.

    precision: fp32, bf16, or auto = bf16 where the device multiplies it faster (CUDA, a CPU with AMX or AVX-512 BF16),
    else fp32. accumulate: batches between two steps of the optimizer, which sees the mean of their gradients.
    """

    epochs: int = 2
    batches: int = 0  # at most so many, 0 = all of the epochs; the learning rate falls to 0 over these
    tokens: int = 6144  # in a batch, about
    learning_rate: float = 1e-4
    warmup: float = 0.05  # of all steps
    weight_decay: float = 0.01
    clip: float = 1.0
    accumulate: int = 1  # batches; the last ones of an epoch may be fewer
    gradient_checkpointing: bool = False
    compile: bool = False  # each layer by torch.compile: faster after some minutes, and needs a C++ compiler on a CPU
    precision: str = "auto"
    seed: int = 0
    save_minutes: float = 5.0
    evaluate_every: int = 500  # batches

    def __post_init__(self) -> None:
        for name in ("epochs", "tokens", "accumulate", "evaluate_every"):
            if getattr(self, name) < 1:
                raise TrainError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise TrainError(f"precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}")


def resolve_precision(asked: str) -> str:
    """accelerate's name of the precision. A CPU without bf16 products is hundreds of times slower with it than fp32."""
    if asked != "auto":
        return {"fp32": "no"}.get(asked, asked)
    fast = torch.cuda.is_available() or torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if fast else "no"


def schedule(step: int, steps: int, warmup: float) -> float:
    """The factor of the learning rate at a step: linear warm-up, then linear decay to 0. warmup: share of `steps`."""
    rising = max(1, int(warmup * steps))
    return (step + 1) / rising if step < rising else max(0.0, (steps - step) / max(1, steps - rising))


def compile_layers(model: nn.Module) -> None:
    """Have torch.compile compile each repeated layer when it first runs."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    torch._dynamo.config.recompile_limit = RECOMPILATIONS
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):  # the base class of repeated layers in transformers
            module.compile(dynamic=True)


def train(
    model: nn.Module,
    batches: Callable[[int], Sequence[Any]],
    loss: Loss,
    config: TrainConfig,
    out: Path,
    *,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    fresh: tuple[str, ...] = (),
) -> nn.Module:
    """Train to the end, from the run's checkpoint where it has one. Returns the bare model, on the CPU or GPU.

    batches: epoch -> what is handed to `loss`, made lazily. fresh: the prefixes of the names of untrained weights
    beside trained ones, which learn FRESH times as fast. Raises DataError where there is nothing to train on,
    TrainError for a checkpoint of another run.
    """
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    set_seed(config.seed)
    orders = [batches(epoch) for epoch in range(config.epochs)]  # not all of one length: sizes are shuffled too
    total = sum(map(len, orders))
    total = min(total, config.batches or total)
    if not total:
        raise DataError("there are no examples to train on")
    accelerator = Accelerator(
        mixed_precision=resolve_precision(config.precision), cpu=not torch.cuda.is_available()
    )
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if config.compile:
        compile_layers(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, config.weight_decay, fresh), lr=config.learning_rate)
    run = _Run(*accelerator.prepare(model, optimizer), accelerator, loss, config, total, out)
    run.resume()
    out.mkdir(parents=True, exist_ok=True)
    (out / "train.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    rewind(out / "log.jsonl", run.done)
    before = 0  # batches of the epochs before
    progress = tqdm(total=total, initial=run.done, desc=out.name, disable=None, mininterval=1)
    with progress as bar, (out / "log.jsonl").open("a") as log:
        for order in orders:
            for at in range(max(0, run.done - before), min(len(order), total - before)):
                run.batch(order, at)
                bar.update()
                if run.done % LOG_EVERY == 0 or run.done == total:
                    bar.set_postfix(loss=run.write_means(log)["loss"])
                if evaluate and (run.done % config.evaluate_every == 0 or run.done == total):
                    run.model.eval()
                    write_line(log, {"step": run.done, **evaluate(run.bare)})
                run.save_when_due()
            before += len(order)
    run.save()
    return run.bare


@dataclass(slots=True)
class _Run:
    """The state of one training: model, optimizer and the batches done."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    loss: Loss
    config: TrainConfig
    total: int
    out: Path
    done: int = 0
    stepped: bool = True  # no gradient is waiting for the optimizer
    sums: dict[str, list[float]] = field(default_factory=dict)  # parts of the loss since the last line of the log
    started: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)

    @property
    def bare(self) -> nn.Module:
        return self.accelerator.unwrap_model(self.model)

    @property
    def plan(self) -> dict[str, int]:
        """What a checkpoint must have in common with the run that goes on from it."""
        return {"batches": self.total, "seed": self.config.seed, "accumulate": self.config.accumulate}

    def batch(self, order: Sequence[Any], at: int) -> None:
        """Gradients of a batch of an epoch, and a step of the optimizer after the last of `accumulate` batches."""
        config = self.config
        first = at - at % config.accumulate  # of the batches that make one step
        window = min(config.accumulate, len(order) - first)
        # dropout depends on the batch alone, not on what was drawn before
        torch.manual_seed(config.seed * SEED_STRIDE + self.done)
        self.model.train()
        with self.accelerator.autocast():
            parts = self.loss(self.model, order[at].to(self.accelerator.device))
        self.accelerator.backward(parts["loss"] / window)
        self.stepped = at + 1 == first + window
        if self.stepped:
            self.accelerator.clip_grad_norm_(self.model.parameters(), config.clip)
            rate = config.learning_rate * schedule(self.done, self.total, config.warmup)
            for group in self.optimizer.param_groups:
                group["lr"] = group["scale"] * rate
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.done += 1
        for name, value in parts.items():
            self.sums.setdefault(name, []).append(value.item())

    def write_means(self, log: IO[str]) -> dict[str, float]:
        """A line of the log: the mean of each part of the loss since the last one."""
        means = {name: round(sum(values) / len(values), 4) for name, values in self.sums.items()}
        seconds = round(time.monotonic() - self.started, 1)
        write_line(log, {"step": self.done, "of": self.total, "seconds": seconds, **means})
        self.sums = {}
        return means

    def save_when_due(self) -> None:
        """Between two steps only: a checkpoint has no gradients."""
        if self.stepped and time.monotonic() - self.saved > 60 * self.config.save_minutes:
            self.save()
            self.saved = time.monotonic()

    def save(self) -> None:
        """Replace the checkpoint as a whole."""
        path = self.out / "checkpoint" / TORCH_STATE
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".new")
        state = {"model": self.bare.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "plan": self.plan, "done": self.done}, new)
        new.replace(path)

    def resume(self) -> None:
        """Take over the checkpoint where there is one. Raises TrainError where it is of another run."""
        path = self.out / "checkpoint" / TORCH_STATE
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        if (plan := state.get("plan", self.plan)) != self.plan:
            raise TrainError(
                f"{path} was made with {plan}, asked for is {self.plan}: give the same flags and data, or another --out"
            )
        try:
            self.bare.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            cause = str(error).splitlines()[0]
            raise TrainError(f"{path} is of another model: give another --out ({cause})") from error
        self.done = state["done"]


def parameter_groups(model: nn.Module, decay: float, fresh: tuple[str, ...]) -> list[dict[str, Any]]:
    """Groups for AdamW: weight decay for matrices only, and `scale`, FRESH for names that begin with one of `fresh`."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    kinds = [(new, matrix) for new in (False, True) for matrix in (True, False)]
    groups = [
        {
            "params": [
                weight for name, weight in trained if (weight.ndim > 1) == matrix and name.startswith(fresh) == new
            ],
            "weight_decay": decay if matrix else 0.0,
            "scale": FRESH if new else 1.0,
        }
        for new, matrix in kinds
    ]
    return [group for group in groups if group["params"]]


def write_line(file: IO[str], line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()


def rewind(log: Path, done: int) -> None:
    """Drop the lines that a run wrote after its checkpoint, of `done` batches, before it was cut off."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    log.write_text("".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= done))
