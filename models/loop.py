"""The training loop that every trainer shares: accelerate, checkpoints, a JSONL log, plots. Knows no model and no data.

A run is a folder: `log.jsonl`, `checkpoint/` (replaced as a whole, so that a kill leaves the old one or the new one), `model/` at the end.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

TORCH_STATE = "state.pt"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """precision: fp32, bf16, or auto = bf16 where the device multiplies it faster (CUDA, a CPU with AMX), else fp32."""

    epochs: int = 2
    tokens: int = 6144  # in a batch, about
    learning_rate: float = 1e-4
    warmup: float = 0.05  # of all steps
    weight_decay: float = 0.01
    clip: float = 1.0
    accumulate: int = 1
    gradient_checkpointing: bool = False
    precision: str = "auto"
    seed: int = 0
    save_minutes: float = 5.0
    evaluate_every: int = 500  # steps


def resolve_precision(asked: str) -> str:
    """accelerate's name of the precision. bf16 on a CPU without AMX is hundreds of times slower than fp32."""
    if asked != "auto":
        return {"fp32": "no"}.get(asked, asked)
    fast = torch.cuda.is_available() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "no"


def schedule(step: int, steps: int, warmup: float) -> float:
    """The share of the learning rate at a step: linear up, then linear down to 0."""
    rising = max(1, int(warmup * steps))
    return (step + 1) / rising if step < rising else max(0.0, (steps - step) / max(1, steps - rising))


def train(
    model: nn.Module,
    batches: Callable[[int], Sequence[Any]],  # epoch -> what is handed to `loss`, lazily
    loss: Callable[[nn.Module, Any], dict[str, torch.Tensor]],
    config: TrainConfig,
    out: Path,
    *,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
) -> nn.Module:
    """Train to the end, from the run's checkpoint where it has one. Returns the bare model, on the CPU or GPU."""
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    set_seed(config.seed)
    accelerator = Accelerator(mixed_precision=resolve_precision(config.precision), cpu=not torch.cuda.is_available())
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(_groups(model, config.weight_decay), lr=config.learning_rate)
    model, optimizer = accelerator.prepare(model, optimizer)
    out.mkdir(parents=True, exist_ok=True)
    (out / "train.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    done = _resume(accelerator.unwrap_model(model), optimizer, out)
    per_epoch = len(batches(0))
    steps = per_epoch * config.epochs
    bar = tqdm(total=steps, initial=done, desc=out.name, disable=None, mininterval=1)
    saved, sums, started = time.monotonic(), {}, time.monotonic()
    with (out / "log.jsonl").open("a") as log:
        for epoch in range(config.epochs):
            order = batches(epoch)
            for at in range(max(0, done - epoch * per_epoch), per_epoch):
                model.train()
                with accelerator.autocast():
                    parts = loss(model, order[at].to(accelerator.device))
                accelerator.backward(parts["loss"] / config.accumulate)
                if (at + 1) % config.accumulate == 0 or at + 1 == per_epoch:
                    accelerator.clip_grad_norm_(model.parameters(), config.clip)
                    for group in optimizer.param_groups:
                        group["lr"] = config.learning_rate * schedule(done, steps, config.warmup)
                    optimizer.step()
                    optimizer.zero_grad()
                done += 1
                bar.update()
                for name, value in parts.items():
                    sums.setdefault(name, []).append(value.item())
                if done % 50 == 0 or done == steps:
                    line = {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
                    _log(log, {"step": done, "of": steps, "seconds": round(time.monotonic() - started, 1), **line})
                    bar.set_postfix(loss=line["loss"])
                    sums = {}
                if evaluate and (done % config.evaluate_every == 0 or done == steps):
                    model.eval()
                    _log(log, {"step": done, **evaluate(accelerator.unwrap_model(model))})
                if time.monotonic() - saved > 60 * config.save_minutes:
                    _save(accelerator.unwrap_model(model), optimizer, done, out)
                    saved = time.monotonic()
    bar.close()
    bare = accelerator.unwrap_model(model)
    _save(bare, optimizer, done, out)
    return bare


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices only, as usual."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": decay},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]


def _log(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()


def _save(model: nn.Module, optimizer: torch.optim.Optimizer, done: int, out: Path) -> None:
    new, old = out / "checkpoint.new", out / "checkpoint"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": done}, new / TORCH_STATE)
    shutil.rmtree(old, ignore_errors=True)
    new.replace(old)


def _resume(model: nn.Module, optimizer: torch.optim.Optimizer, out: Path) -> int:
    """Batches done so far, 0 without a checkpoint."""
    for folder in (out / "checkpoint", out / "checkpoint.new"):  # the second: killed between removal and renaming
        if (folder / TORCH_STATE).exists():
            state = torch.load(folder / TORCH_STATE, map_location="cpu", weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            return state["done"]
    return 0
