"""lm-evaluation-harness: grounded tasks with their passage as memory, and BIG-bench as memory and as a prompt.

Each figure is given with its chance level.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.systems.common import Row, grounded
from models.systems.harness import GROUNDED, GroundedLM, evaluate, files, plain

EACH = 12  # requests of a task
SYSTEM = "lm-evaluation-harness"


def measure(data: Path) -> Iterator[Row]:
    model, tasks = grounded(), files(data)
    general = {name: file for name, file in tasks.items() if name not in GROUNDED}
    by_memory, by_prompt = evaluate(GroundedLM(model), tasks, EACH), evaluate(plain(model), general, EACH)
    for name, report in by_memory.items():
        baselines = {"chance": report.chance, "constant": report.constant}
        for figure, value in report.figures.items():
            figures = {"memory": value, "error": report.errors[figure]}
            if name in by_prompt:
                figures["plain"] = by_prompt[name].figures[figure]
            figures |= {what: some[figure] for what, some in baselines.items() if figure in some}
            yield Row(SYSTEM, f"{name} {figure}", figures | {"n": report.n})
