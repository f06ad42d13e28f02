"""Data parallel training by DeepSpeed's ZeRO (arXiv 1910.02054) through accelerate, in place of FSDP2: python -m models.systems.parallel --zero STAGE.

Stage 1 shards the optimizer, 2 the gradients too, 3 the weights too, as FSDP2 does. DeepSpeed is not installed with Folio. Its checkpoints are its own: a run goes on in
as many processes as it began with.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from models.common.errors import LayoutError, TrainError
from models.systems.processes import Layout, device, rank

if TYPE_CHECKING:
    from models.systems.process_shard import Held
    from models.training.presets import Task
    from models.training.question_batches import QuestionBatch
    from models.training.training_loop import TrainConfig

STAGES = (1, 2, 3)
LATEST, CLIENT = "latest", "plan"  # DeepSpeed's file with the name of its newest checkpoint; what of ours goes along
WHOLE = "model"  # beside a checkpoint's parts: the model as transformers saves it


def check(stage: int, layout: Layout) -> None:
    """Raises LayoutError, TrainError."""
    if stage not in STAGES:
        raise TrainError(f"--zero is one of {', '.join(map(str, STAGES))}, not {stage}")
    if layout.tensor * layout.pipeline > 1:
        raise LayoutError("--zero goes with --data-parallel alone: leave it out, and FSDP2 goes with the other two")
    if find_spec("deepspeed") is None:
        raise TrainError("--zero needs DeepSpeed, which is not installed: pip install deepspeed, or leave --zero out, and FSDP2 shards as stage 3 does")


class ZeroProcess:
    """One of the processes, as models.systems.process_shard.Process."""

    def __init__(self, task: Task, layout: Layout, config: TrainConfig, stage: int) -> None:
        import torch
        from accelerate import Accelerator, DeepSpeedPlugin

        from models.systems.pipeline_stages import Stage
        from models.training.training_loop import parameter_groups, resolve_precision

        os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"  # accelerate looks for it before it looks at the plugin
        each = config.accumulate // layout.data
        plugin = DeepSpeedPlugin(zero_stage=stage, gradient_accumulation_steps=each, gradient_clipping=config.clip)
        plugin.deepspeed_config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] = True
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = 1  # how large a batch is, is ours; it only compares
        plugin.deepspeed_config["train_batch_size"] = config.accumulate
        self.accelerator = Accelerator(deepspeed_plugin=plugin, gradient_accumulation_steps=each, mixed_precision=resolve_precision(config.precision))
        self.layout, self.part = layout, rank()
        self.stage = Stage(task.model)
        self.stage.train()
        optimizer = torch.optim.AdamW(parameter_groups(self.stage.model, config.weight_decay, task.fresh), lr=config.learning_rate)
        self.engine, self.optimizer = self.accelerator.prepare(self.stage, optimizer)

    def step(self, batches: Sequence[QuestionBatch], weights: Sequence[float], rate: float, more: float) -> tuple[dict[str, float], float]:
        """As of models.systems.process_shard.Process."""
        import torch
        from torch import distributed as dist

        self.stage.begin([batch.to(device()) for batch in batches], weights)
        for group in self.optimizer.param_groups:
            group["lr"] = group["scale"] * rate
        for number in range(len(batches)):
            loss = self.engine(number=torch.tensor([number], device=device())).sum()
            self.engine.backward(loss * len(batches))  # DeepSpeed divides by that many
            self.engine.step()  # after the last one
        told = torch.cat((torch.tensor([more], device=device()), torch.stack(self.stage.told).sum(0) / self.layout.data))
        dist.all_reduce(told)
        more, *parts = told.tolist()
        return dict(zip(self.stage.names, parts, strict=True)), more

    def save(self, plan: dict[str, int], done: int, folder: Path) -> None:
        """What is there already stays until the new one is whole."""
        self.engine.save_checkpoint(str(folder), tag=str(done), client_state={CLIENT: plan})
        whole = self.accelerator.get_state_dict(self.engine)
        if not rank():
            names = {name.removeprefix("model."): weight for name, weight in whole.items()}
            self.stage.model.save_pretrained(folder / str(done) / WHOLE, state_dict=names)
            for other in folder.iterdir():
                if other.is_dir() and other.name != str(done):
                    shutil.rmtree(other)

    def resume(self, plan: dict[str, int], folder: Path) -> int:
        """Batches done so far. Raises TrainError."""
        if not (folder / LATEST).exists():
            return 0
        path, client = self.engine.load_checkpoint(str(folder))
        if path is None or client[CLIENT] != plan:
            raise TrainError(f"{folder} was not made with {plan}: give the same flags and data, or another --out")
        return int((folder / LATEST).read_text())

    def held(self) -> Held:
        from models.systems.process_shard import Held, held_bytes, peak

        parameters = sum(held_bytes(getattr(weight, "ds_tensor", weight)) for weight in self.stage.parameters())  # what stage 3 leaves here
        state = [value for values in self.optimizer.optimizer.state.values() for value in values.values() if hasattr(value, "element_size")]
        return Held(rank(), parameters, sum(map(held_bytes, state)), peak())
