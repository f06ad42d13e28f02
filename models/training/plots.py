"""Draws a run's log: the parts of the loss over the steps, and what was measured on development questions."""

from __future__ import annotations

import json
from pathlib import Path


def draw(log: Path, out: Path) -> None:
    """log: the JSONL of models.training.training_loop; out: a picture file. Lines with "of" are training, the others development."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for panel, title, chosen in (
        (panels[0], "training loss", [line for line in lines if "of" in line]),
        (panels[1], "development", [line for line in lines if "of" not in line]),
    ):
        for name in dict.fromkeys(name for line in chosen for name in line if name not in ("step", "of", "seconds")):
            there = [line for line in chosen if name in line]
            panel.plot([line["step"] for line in there], [line[name] for line in there], label=name)
        panel.set(title=title, xlabel="step")
        if chosen:
            panel.legend()
    figure.savefig(out)
    pyplot.close(figure)
