"""Training and serving in several processes against one: the same losses and logits, and what each process holds.

The shipped reader is trained on for STEPS steps of ACCUMULATE batches, with frozen word vectors as in the preset `embedded`; on a CPU the peak is that of the whole
process, its libraries and the model as it was before it was shared included.
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
from models.systems.processes import TENSOR, Layout, together
from models.training.prepare_data import prepare_rows
from models.training.question_sets import QaRow, read_qa
from models.training.training_loop import TrainConfig

STEPS, ACCUMULATE, TOKENS = 2, 4, 256
ROWS = 60  # of a file of training questions
QUESTIONS = 20  # that are answered
LAYOUTS = {
    "one process": Layout(), "FSDP2, 2 processes": Layout(data=2), "tensor parallel, 2": Layout(tensor=2), "pipeline, 2": Layout(pipeline=2),
    "all three, 8": Layout(2, 2, 2),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """logits: of the heads for each question, and of the decoder's next tokens; none where nothing was served."""

    trained: parallel.Trained
    logits: np.ndarray | None


def launched(processes: int, act: Callable[..., Any], *arguments: Any) -> Any:
    """What the first of so many new processes returned."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id="bench", rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0, start_method="spawn"
    )
    return elastic_launch(config, act)(*arguments)[0]


def worked(layout: Layout, prepared: Path, out: Path, rows: list[QaRow]) -> Told:
    """What one of the processes does."""
    import torch

    from models.training.presets import embedded

    torch.set_num_threads(max(1, 2 // layout.processes))
    config = TrainConfig(epochs=1, batches=STEPS * ACCUMULATE, tokens=TOKENS, learning_rate=6e-5, accumulate=ACCUMULATE, precision="fp32")
    with together():
        trained = parallel.train(embedded(prepared, shipped_weights.FOLDER), layout, config, out)
        served = layout.processes == layout.tensor
        return Told(trained, said(layout, prepared, rows) if served else None)


def said(layout: Layout, prepared: Path, rows: list[QaRow]) -> np.ndarray:
    import torch

    from models.network.grounded_reader import GroundedReader
    from models.reader.windows import Passage
    from models.systems.tensor_parallel import share_heads
    from models.training.objective import recall
    from models.training.question_batches import Questions

    model = grounded()
    if layout.tensor > 1:
        share_heads(model, layout.mesh()[TENSOR])
    found = GroundedReader(model).read_pairs([(row.question, Passage(row.context, row.title, row.boxes)) for row in rows])
    with torch.no_grad():
        batch = Questions(prepared).batch(np.arange(2))
        decoder = model(input_ids=batch.decoder_ids, attention_mask=batch.decoder_mask, **recall(model, batch)[0].inputs()).logits
    heads = [value for one in found for value in (one.span, one.answerable, one.evidence)]
    return np.concatenate((np.array(heads, np.float32), decoder.numpy().ravel()))


def measure(data: Path) -> Iterator[Row]:
    learned = [row for row in read_qa(data / "qa" / "train" / "squad2_dev.jsonl.gz") if row.span][:ROWS]
    rows = development(data, QUESTIONS // 5)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        prepare_rows(learned, prepared, 0)
        alone: Told | None = None
        for form, layout in LAYOUTS.items():
            told: Told = launched(layout.processes, worked, layout, prepared, Path(folder) / form, rows)
            alone = alone or told
            held = told.trained.held
            yield Row("parallel training", form, {
                "loss": round(told.trained.losses[-1], 4),
                "largest difference of loss": float(f"{max(abs(a - b) for a, b in zip(told.trained.losses, alone.trained.losses, strict=True)):.1e}"),
                "MB of weights a process, most": round(max(one.parameters for one in held) / 1e6, 1),
                "MB of optimizer a process, most": round(max(one.optimizer for one in held) / 1e6, 1),
                "MB at peak, most": round(max(one.peak for one in held) / 1e6),
                "s a step": round(told.trained.seconds / STEPS, 2),
            })  # fmt: skip
            if told.logits is not None and told is not alone:
                difference = float(abs(told.logits - alone.logits).max())
                yield Row("parallel serving", form, {"largest difference of logits": float(f"{difference:.1e}"), "logits": len(told.logits)})
