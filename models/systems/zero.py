"""Data parallel training by DeepSpeed's ZeRO (arXiv 1910.02054): python -m models.systems.parallel --zero STAGE.

In place of FSDP2, through accelerate. Stage 1 shards the optimizer state, 2 the gradients too, 3 the weights too, as
FSDP2 does. DeepSpeed is not installed with Folio. Its checkpoints can be resumed only by as many processes as wrote
them.
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
    from accelerate import DeepSpeedPlugin

    from models.systems.process_shard import MemoryUse
    from models.training.presets import Task
    from models.training.question_batches import QuestionBatch
    from models.training.training_loop import TrainConfig

STAGES = (1, 2, 3)
LATEST = "latest"  # DeepSpeed's file with the name of its newest checkpoint
CLIENT = "plan"  # our entry in a checkpoint: what identifies the run
WHOLE = "model"  # folder beside a checkpoint's shards: the model as transformers saves it


def check(stage: int, layout: Layout) -> None:
    """Raises LayoutError, TrainError."""
    if stage not in STAGES:
        raise TrainError(f"--zero is one of {', '.join(map(str, STAGES))}, not {stage}")
    if layout.tensor * layout.pipeline > 1:
        raise LayoutError("--zero goes with --data-parallel alone: leave it out, and FSDP2 goes with the other two")
    if find_spec("deepspeed") is None:
        raise TrainError(
            "--zero needs DeepSpeed, which is not installed: pip install deepspeed, "
            "or leave --zero out, and FSDP2 shards as stage 3 does"
        )


class ZeroProcess:
    """One of the processes; the same methods as models.systems.process_shard.Process."""

    def __init__(self, task: Task, layout: Layout, config: TrainConfig, stage: int) -> None:
        import torch
        from accelerate import Accelerator

        from models.systems.pipeline_stages import Stage
        from models.training.training_loop import parameter_groups, resolve_precision

        os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"  # accelerate looks for it before it looks at the plugin
        each = config.accumulate // layout.data  # batches of a process between two steps
        self.accelerator = Accelerator(
            deepspeed_plugin=_plugin(stage, each, config), gradient_accumulation_steps=each,
            mixed_precision=resolve_precision(config.precision),
        )  # fmt: skip
        self.layout, self.data_rank = layout, rank()
        self.stage = Stage(task.model)
        self.stage.train()
        groups = parameter_groups(self.stage.model, config.weight_decay, task.fresh)
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        self.engine, self.optimizer = self.accelerator.prepare(self.stage, optimizer)

    def step(
        self, batches: Sequence[QuestionBatch], weights: Sequence[float], rate: float, due: float
    ) -> tuple[dict[str, float], float]:
        """See models.systems.process_shard.Process.step."""
        import torch
        from torch import distributed as dist

        self.stage.begin([batch.to(device()) for batch in batches], weights)
        for group in self.optimizer.param_groups:
            group["lr"] = group["scale"] * rate
        for number in range(len(batches)):
            loss = self.engine(number=torch.tensor([number], device=device())).sum()
            self.engine.backward(loss * len(batches))  # DeepSpeed divides by that many
            self.engine.step()  # takes effect after the last batch
        parts = torch.stack(self.stage.loss_parts).sum(0) / self.layout.data
        sums = torch.cat((torch.tensor([due], device=device()), parts))
        dist.all_reduce(sums)
        due, *parts = sums.tolist()
        return dict(zip(self.stage.names, parts, strict=True)), due

    def save(self, plan: dict[str, int], done: int, folder: Path) -> None:
        """See models.systems.sharded_checkpoints.save; older checkpoints go when the new one is complete."""
        self.engine.save_checkpoint(str(folder), tag=str(done), client_state={CLIENT: plan})
        whole = self.accelerator.get_state_dict(self.engine)
        if not rank():
            state = {name.removeprefix("model."): weight for name, weight in whole.items()}
            self.stage.model.save_pretrained(folder / str(done) / WHOLE, state_dict=state)
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

    def memory_use(self) -> MemoryUse:
        from models.systems.process_shard import MemoryUse, local_bytes, peak_bytes

        shards = [getattr(weight, "ds_tensor", weight) for weight in self.stage.parameters()]  # ds_tensor: of stage 3
        values = [value for state in self.optimizer.optimizer.state.values() for value in state.values()]
        moments = [value for value in values if hasattr(value, "element_size")]
        return MemoryUse(rank(), sum(map(local_bytes, shards)), sum(map(local_bytes, moments)), peak_bytes())


def _plugin(stage: int, each: int, config: TrainConfig) -> DeepSpeedPlugin:
    from accelerate import DeepSpeedPlugin

    plugin = DeepSpeedPlugin(zero_stage=stage, gradient_accumulation_steps=each, gradient_clipping=config.clip)
    plugin.deepspeed_config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] = True
    # Batches are counted in tokens here. DeepSpeed asks for sizes in examples, and only checks that they agree.
    plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = 1
    plugin.deepspeed_config["train_batch_size"] = config.accumulate
    return plugin
