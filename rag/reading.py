"""The reader over a context: each piece of evidence becomes a passage under its title, and is read for the question.

Comes in: a query, a context, a reader and its budget. Goes out: the context with its readings. Asks the index nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.index import Index
from indexing.types import Modality
from models.common.errors import WeightsError
from models.reader import shipped_weights
from models.reader.coordinates import BlockModality
from models.reader.extractive_reader import Reader, by_passage
from models.reader.state_cache import StateCache
from models.reader.types import Window
from models.reader.windows import Passage
from rag.calibration import Calibration
from rag.lookups.table_cells import table_header
from rag.types import Context, Query, Reading

if TYPE_CHECKING:
    import numpy as np

SUREST = 20.0


def reader_opener(adapter: str, folder: str, fitted: Calibration) -> Callable[[Index], Reader]:
    """How the reader is opened for an index, whose cached states are its own; weights are loaded once.

    adapter: a folder with an adapter of the shipped weights, or empty. folder: a model to read with in torch instead.
    Raises WeightsError, also where the calibration was fitted to other weights.
    """
    weights = shipped_weights.describe(adapter=Path(adapter) if adapter else None)
    if weights.digest != fitted.reader:
        raise WeightsError(
            f"calibration.json was fitted to the reader {fitted.reader}, here is {weights.digest}: "
            "take weights and program from the same release"
        )
    if folder:
        from models.network.torch_reader import open_torch

        reader = Reader(*open_torch(Path(folder)))
        return lambda index: reader
    encoder, decoder = shipped_weights.encoder(weights), shipped_weights.decoder(weights)
    return lambda index: Reader(replace(encoder, cache=StateCache(index.directory)), decoder)


def read(query: Query, context: Context, reader: Reader, count: int, budget: float) -> Context:
    """The context with readings of its first `count` pieces of evidence, in their order while the budget lasts.

    budget: floating point operations, see models.reader.extractive_reader.Reader.read; the first piece is always read.
    """
    inputs = [passage_of(context, number) for number in range(min(count, len(context.evidence)))]
    windows = by_passage(reader.read(query.text, [passage for _, passage in inputs], budget))
    readings = [Reading(tuple(windows.get(number, ())), len(head)) for number, (head, _) in enumerate(inputs)]
    unread = [Reading(())] * (len(context.evidence) - len(inputs))
    return replace(context, readings=(*readings, *unread))


def passage_of(context: Context, number: int) -> tuple[str, Passage]:
    """What stands before the text of a piece of evidence in the reader's input, and that input.

    Its title are the headings and how its document begins. Rows of a table stand under their header.
    """
    piece, around = context.evidence[number], context.surroundings[number]
    header = table_header(piece)
    head = f"{header}\n" if header and not piece.text.startswith(header) else ""
    headings = [heading for heading in piece.headings if heading != header]
    title = " - ".join([*headings, *([around.opening] if around.opening else [])])
    boxes = around.boxes if piece.modality is Modality.IMAGE and around.recognised else ()
    return head, Passage(head + piece.text, title, boxes, context.patches.get(number))


def bounded(logit: float) -> float:
    """A logit within -SUREST..SUREST: what was not read is infinitely unlikely, and no feature may be infinite."""
    return max(-SUREST, min(SUREST, logit))


def judged(reading: Reading) -> tuple[float, float] | None:
    """The largest logits of `answerable` and `evidence` over the windows that were read, bounded; None for none."""
    live = [window.judged for window in reading.windows if window.was_read]
    if not live:
        return None
    answerable, evidence = (bounded(max(float(one[head]) for one in live)) for head in (0, 1))
    return answerable, evidence


def summary(reading: Reading) -> np.ndarray | None:
    """The state of [CLS] in the window that both heads together find best, (W,); None where a reader keeps none."""
    live = [window for window in reading.windows if window.was_read and window.summary is not None]
    return max(live, key=lambda window: float(window.judged.sum())).summary if live else None


def cost(readings: Sequence[Reading], seconds: float) -> dict[str, object]:
    """What reading cost, for the trace; empty where nothing was read."""
    windows: list[Window] = [window for reading in readings for window in reading.windows]
    if not windows:
        return {}
    live = {window.passage for window in windows if window.was_read}
    costs = [window.cost for window in windows]
    return {
        "blocks": {"live": len(live), "skipped": len(readings) - len(live)},
        "experts": {kind.name.lower(): sum(window.modality is kind for window in windows) for kind in BlockModality},
        "null": round(sum(one.null for one in costs) / max(1, sum(one.routed for one in costs)), 4),
        "cost": {
            "flops": sum(one.flops for one in costs),
            "bytes": sum(one.bytes for one in costs),
            "cached": sum(one.cached for one in costs),
            "tokens_per_second": round(sum(len(window.ids) for window in windows) / seconds),
        },
    }
