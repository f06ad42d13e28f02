"""The training loop that every trainer shares: accelerate, checkpoints, a JSONL log, plots. Knows no model and no data.

A run is a folder: `log.jsonl`, `checkpoint/` (replaced as a whole, so that a kill leaves the old one or the new one), `model/` at the end.
A run that was cut off and goes on ends with the same weights as one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from models.common.errors import DataError, TrainError

TORCH_STATE = "state.pt"
FRESH = 4.0  # times the learning rate
RECOMPILATIONS = 64  # of a layer: each one of a model has its own modules; beyond it they would run uncompiled
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """precision: fp32, bf16, or auto = bf16 where the device multiplies it faster (CUDA, a CPU with AMX or AVX-512 BF16), else fp32.

    accumulate: batches between two steps of the optimizer, which sees the mean of their gradients. Raises TrainError.
    """

    epochs: int = 2
    batches: int = 0  # at most so many, where that is not 0; the learning rate falls to 0 over these
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
    """accelerate's name of the precision. bf16 on a CPU that does not multiply it is hundreds of times slower than fp32."""
    if asked != "auto":
        return {"fp32": "no"}.get(asked, asked)
    fast = torch.cuda.is_available() or torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if fast else "no"


def schedule(step: int, steps: int, warmup: float) -> float:
    """The share of the learning rate at a step: linear up, then linear down to 0."""
    rising = max(1, int(warmup * steps))
    return (step + 1) / rising if step < rising else max(0.0, (steps - step) / max(1, steps - rising))


def compile_layers(model: nn.Module) -> None:
    """By torch.compile, when they are first run."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    torch._dynamo.config.recompile_limit = RECOMPILATIONS
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):  # as transformers calls the layers that a model repeats
            module.compile(dynamic=True)


def train(
    model: nn.Module,
    batches: Callable[[int], Sequence[Any]],  # epoch -> what is handed to `loss`, lazily
    loss: Callable[[nn.Module, Any], dict[str, torch.Tensor]],
    config: TrainConfig,
    out: Path,
    *,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    fresh: tuple[str, ...] = (),
) -> nn.Module:
    """Train to the end, from the run's checkpoint where it has one. Returns the bare model, on the CPU or GPU.

    fresh: how the names of weights begin that start from nothing beside others that are trained already: they learn FRESH times as fast.
    Raises DataError where there is nothing to train on, TrainError for a checkpoint of another run.
    """
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    set_seed(config.seed)
    orders = [batches(epoch) for epoch in range(config.epochs)]  # not all of one length: sizes are shuffled too
    total = sum(map(len, orders))
    total = min(total, config.batches or total)
    if not total:
        raise DataError("there are no examples to train on")
    accelerator = Accelerator(mixed_precision=resolve_precision(config.precision), cpu=not torch.cuda.is_available())
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if config.compile:
        compile_layers(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, config.weight_decay, fresh), lr=config.learning_rate)
    model, optimizer = accelerator.prepare(model, optimizer)
    out.mkdir(parents=True, exist_ok=True)
    plan = {"batches": total, "seed": config.seed, "accumulate": config.accumulate}
    done = _resume(accelerator.unwrap_model(model), optimizer, plan, out)
    (out / "train.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    rewind(out / "log.jsonl", done)
    bar = tqdm(total=total, initial=done, desc=out.name, disable=None, mininterval=1)
    saved, sums, started = time.monotonic(), {}, time.monotonic()
    before = 0  # batches of the epochs before
    with (out / "log.jsonl").open("a") as log:
        for order in orders:
            for at in range(max(0, done - before), min(len(order), total - before)):
                first = at - at % config.accumulate  # of the batches that make one step
                window = min(config.accumulate, len(order) - first)
                torch.manual_seed(config.seed * 1_000_003 + done)  # dropout depends on the batch alone, not on what was drawn before
                model.train()
                with accelerator.autocast():
                    parts = loss(model, order[at].to(accelerator.device))
                accelerator.backward(parts["loss"] / window)
                stepped = at + 1 == first + window
                if stepped:
                    accelerator.clip_grad_norm_(model.parameters(), config.clip)
                    for group in optimizer.param_groups:
                        group["lr"] = group["scale"] * config.learning_rate * schedule(done, total, config.warmup)
                    optimizer.step()
                    optimizer.zero_grad()
                done += 1
                bar.update()
                for name, value in parts.items():
                    sums.setdefault(name, []).append(value.item())
                if done % 50 == 0 or done == total:
                    line = {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
                    write_line(log, {"step": done, "of": total, "seconds": round(time.monotonic() - started, 1), **line})
                    bar.set_postfix(loss=line["loss"])
                    sums = {}
                if evaluate and (done % config.evaluate_every == 0 or done == total):
                    model.eval()
                    write_line(log, {"step": done, **evaluate(accelerator.unwrap_model(model))})
                if stepped and time.monotonic() - saved > 60 * config.save_minutes:  # else gradients would be lost
                    _save(accelerator.unwrap_model(model), optimizer, plan, done, out)
                    saved = time.monotonic()
            before += len(order)
    bar.close()
    bare = accelerator.unwrap_model(model)
    _save(bare, optimizer, plan, done, out)
    return bare


def parameter_groups(model: nn.Module, decay: float, fresh: tuple[str, ...]) -> list[dict[str, Any]]:
    """Weight decay for matrices only, as usual."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    kinds = [(new, matrix) for new in (False, True) for matrix in (True, False)]
    groups = [
        {
            "params": [weight for name, weight in trained if (weight.ndim > 1) == matrix and name.startswith(fresh) == new],
            "weight_decay": decay if matrix else 0.0,
            "scale": FRESH if new else 1.0,
        }
        for new, matrix in kinds
    ]
    return [group for group in groups if group["params"]]


def write_line(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()


def rewind(log: Path, done: int) -> None:
    """Drop what a run that was cut off wrote after its checkpoint: it is done again."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    log.write_text("".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= done))


def _save(model: nn.Module, optimizer: torch.optim.Optimizer, plan: dict[str, int], done: int, out: Path) -> None:
    path = out / "checkpoint" / TORCH_STATE
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "plan": plan, "done": done}, new)
    new.replace(path)


def _resume(model: nn.Module, optimizer: torch.optim.Optimizer, plan: dict[str, int], out: Path) -> int:
    """Batches done so far, 0 without a checkpoint."""
    path = out / "checkpoint" / TORCH_STATE
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("plan", plan) != plan:
        raise TrainError(f"{path} was made with {state['plan']}, asked for is {plan}: give the same flags and data, or another --out")
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise TrainError(f"{path} is of another model: give another --out ({str(error).splitlines()[0]})") from error
    return state["done"]
