"""lm-evaluation-harness: grounded tasks, whose passages are memory, and BIG-bench with its text as memory and as a prompt, each beside what guessing reaches."""

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
    remembered, prompted = evaluate(GroundedLM(model), tasks, EACH), evaluate(plain(model), general, EACH)
    for name, report in remembered.items():
        for figure, value in report.figures.items():
            others = {"plain": prompted[name].figures[figure]} if name in prompted else {}
            blind = {what: some[figure] for what, some in (("chance", report.chance), ("constant", report.constant)) if figure in some}
            yield Row(SYSTEM, f"{name} {figure}", {"memory": value, "error": report.errors[figure], **others, **blind, "n": report.n})
