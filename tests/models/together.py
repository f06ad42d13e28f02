"""Runs a function in several processes of one group, as torchrun starts them, and returns the result of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def run(processes: int, act: Callable[..., Any], *arguments: Any) -> list[Any]:
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id="test", rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, start_method="spawn", monitor_interval=0.1,
    )  # fmt: skip
    made = elastic_launch(config, act)(*arguments)
    return [made[rank] for rank in range(processes)]
