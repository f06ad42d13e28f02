"""Training and serving in several processes against one: differences of losses and logits, and memory per process.

The shipped reader is trained for STEPS steps of ACCUMULATE batches, with frozen word vectors as in the preset
`embedded`. On a CPU the peak is that of the whole process, with its libraries and the model before it is sharded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.systems.common import Row, development, grounded
from models.reader import shipped_weights
from models.systems import parallel
from models.systems.processes import TENSOR, Layout, process_group
from models.training.prepare_data import prepare_rows
from models.training.question_sets import QaRow, read_qa
from models.training.training_loop import TrainConfig

STEPS, ACCUMULATE, TOKENS = 2, 4, 256
CONFIG = TrainConfig(
    epochs=1, batches=STEPS * ACCUMULATE, tokens=TOKENS, learning_rate=6e-5, accumulate=ACCUMULATE, precision="fp32"
)
ROWS = 60  # of a file of training questions
QUESTIONS = 20  # to answer
LAYOUTS = {
    "one process": Layout(), "FSDP2, 2 processes": Layout(data=2), "tensor parallel, 2": Layout(tensor=2),
    "pipeline, 2": Layout(pipeline=2), "all three, 8": Layout(2, 2, 2),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """logits: of the heads for each question, and of the decoder's next tokens; None for a layout that cannot serve."""

    trained: parallel.Trained
    logits: np.ndarray | None


def launched(processes: int, act: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in so many new processes; the result of the first one."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id="bench", rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, start_method="spawn",
    )  # fmt: skip
    return elastic_launch(config, act)(*arguments)[0]


def train_and_serve(layout: Layout, prepared: Path, out: Path, rows: list[QaRow]) -> Outcome:
    """The work of one process."""
    import torch

    from models.training.presets import embedded

    torch.set_num_threads(max(1, 2 // layout.processes))
    with process_group():
        trained = parallel.train(embedded(prepared, shipped_weights.FOLDER), layout, CONFIG, out)
        serves = layout.processes == layout.tensor
        return Outcome(trained, logits(layout, prepared, rows) if serves else None)


def logits(layout: Layout, prepared: Path, rows: list[QaRow]) -> np.ndarray:
    """Logits of the shipped reader, tensor parallel: three of the heads for each question, then the decoder's."""
    import torch

    from models.network.grounded_reader import GroundedReader
    from models.reader.windows import Passage
    from models.systems.tensor_parallel import share_heads
    from models.training.objective import recall
    from models.training.question_batches import Questions

    model = grounded()
    if layout.tensor > 1:
        share_heads(model, layout.mesh()[TENSOR])
    pairs = [(row.question, Passage(row.context, row.title, row.boxes)) for row in rows]
    found = GroundedReader(model).read_pairs(pairs)
    with torch.no_grad():
        batch = Questions(prepared).batch(np.arange(2))
        memory = recall(model, batch)[0].inputs()
        decoder = model(input_ids=batch.decoder_ids, attention_mask=batch.decoder_mask, **memory).logits
    heads = [value for one in found for value in (one.span, one.answerable, one.evidence)]
    return np.concatenate((np.array(heads, np.float32), decoder.numpy().ravel()))


def measure(data: Path) -> Iterator[Row]:
    learned = [row for row in read_qa(data / "qa" / "train" / "squad2_dev.jsonl.gz") if row.span][:ROWS]
    rows = development(data, QUESTIONS // 5)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        prepare_rows(learned, prepared, 0)
        alone: Outcome | None = None
        for form, layout in LAYOUTS.items():
            made = launched(layout.processes, train_and_serve, layout, prepared, Path(folder) / form, rows)
            alone = alone or made
            yield Row("parallel training", form, _figures(made.trained, alone.trained))
            if made.logits is not None and made is not alone:
                difference = float(f"{abs(made.logits - alone.logits).max():.1e}")
                figures = {"largest difference of logits": difference, "logits": len(made.logits)}
                yield Row("parallel serving", form, figures)


def _figures(trained: parallel.Trained, alone: parallel.Trained) -> dict[str, float]:
    difference = max(abs(one - other) for one, other in zip(trained.losses, alone.losses, strict=True))
    return {
        "loss": round(trained.losses[-1], 4),
        "largest difference of loss": float(f"{difference:.1e}"),
        "MB of weights a process, most": round(max(one.parameters for one in trained.memory) / 1e6, 1),
        "MB of optimizer a process, most": round(max(one.optimizer for one in trained.memory) / 1e6, 1),
        "MB at peak, most": round(max(one.peak for one in trained.memory) / 1e6),
        "s a step": round(trained.seconds / STEPS, 2),
    }
