"""Plots a training log: the parts of the loss, and the measures on development questions, over steps."""

from __future__ import annotations

import json
from pathlib import Path


def draw(log: Path, out: Path) -> None:
    """log: the JSONL of models.training.training_loop, where lines with "of" are training. out: an image file."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for panel, title, chosen in (
        (panels[0], "training loss", [line for line in lines if "of" in line]),
        (panels[1], "development", [line for line in lines if "of" not in line]),
    ):
        names = dict.fromkeys(name for line in chosen for name in line if name not in ("step", "of", "seconds"))
        for name in names:
            points = [line for line in chosen if name in line]
            panel.plot([line["step"] for line in points], [line[name] for line in points], label=name)
        panel.set(title=title, xlabel="step")
        if chosen:
            panel.legend()
    figure.savefig(out)
    pyplot.close(figure)
