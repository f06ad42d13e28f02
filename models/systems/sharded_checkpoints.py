"""Sharded checkpoints by torch.distributed.checkpoint: each process writes its part of the model and the optimizer.

Any number of processes opens one, in any layout; one process opens it as a plain model. A checkpoint is a folder
named by the number of batches that are done, and gets that name only when it is complete.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

from models.common.errors import TrainError, WeightsError
from models.systems.processes import rank

if TYPE_CHECKING:
    from models.network.config import GroundedConfig
    from models.network.grounded import GroundedForCausalLM

PLAN, NEW = "plan.json", ".new"  # the run that a checkpoint belongs to; the ending of an incomplete checkpoint
MODEL, OPTIMIZER = "model", "optimizer"
State = dict[str, dict[str, Any]]
DAMAGED = (CheckpointException, OSError, ValueError, RuntimeError, KeyError, EOFError)


def state_of(weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.AdamW) -> State:
    """What a process saves or loads. AdamW's state is created where it has none yet, to be loaded into."""
    moments: dict[str, Any] = {}
    for name, weight in weights.items():
        if weight.requires_grad:
            if not optimizer.state[weight]:
                optimizer.state[weight] |= {
                    "step": torch.tensor(0.0), "exp_avg": torch.zeros_like(weight),
                    "exp_avg_sq": torch.zeros_like(weight),
                }  # fmt: skip
            moments[name] = dict(optimizer.state[weight])
    return {MODEL: {name: weight.detach() for name, weight in weights.items()}, OPTIMIZER: moments}


def save(state: State, config: GroundedConfig, plan: dict[str, int], done: int, folder: Path) -> None:
    """Write the checkpoint after `done` batches; called by every process. Older ones go when it is complete.

    plan: what identifies the run, see `resume`.
    """
    path, new = folder / str(done), folder / f"{done}{NEW}"
    if not rank():
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
    dist.barrier()
    dcp.save(state, checkpoint_id=new)
    if not rank():
        config.save_pretrained(new)
        (new / PLAN).write_text(json.dumps(plan) + "\n")
        shutil.rmtree(path, ignore_errors=True)  # of the same step: where nothing was left to do
        new.rename(path)
        for other in folder.iterdir():
            if other != path:
                shutil.rmtree(other)
    dist.barrier()


def newest(folder: Path) -> Path | None:
    """The complete checkpoint of the most batches."""
    complete = [path for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
    return max(complete, key=lambda path: int(path.name), default=None)


def resume(state: State, plan: dict[str, int], folder: Path) -> int:
    """Load the newest checkpoint into `state`; called by every process. Returns its batches, 0 without a checkpoint.

    Raises TrainError for a damaged checkpoint, and for one that was saved with another plan.
    """
    path = newest(folder)
    if path is None:
        return 0
    try:
        saved = json.loads((path / PLAN).read_text())
        if saved == plan:
            dcp.load(state, checkpoint_id=path)
            return int(path.name)
    except DAMAGED as error:
        reason = str(error).splitlines()[0]
        raise TrainError(f"{path} is damaged or of another model: give another --out ({reason})") from error
    raise TrainError(
        f"{path} was made with {saved}, asked for is {plan}: give the same flags and data, or another --out"
    )


def opened(folder: Path) -> GroundedForCausalLM:
    """The model of the newest checkpoint in a folder, whole, in this process alone. Raises WeightsError."""
    from models.network.config import GroundedConfig
    from models.network.grounded import GroundedForCausalLM

    path = newest(folder)
    if path is None:
        raise WeightsError(f"{folder} holds no checkpoint: give the --out of a run of models.systems.parallel")
    try:
        model = GroundedForCausalLM(GroundedConfig.from_pretrained(path, local_files_only=True))
        state = {MODEL: {name: weight.detach() for name, weight in model.named_parameters()}}
        with warnings.catch_warnings(action="ignore"):  # torch warns that it loads in one process
            dcp.load(state, checkpoint_id=path, no_dist=True)
    except DAMAGED as error:
        raise WeightsError(f"{path} is damaged ({str(error).splitlines()[0]}): train again") from error
    return model
