"""torchrun --nproc-per-node N -m models.systems.serve --model DIR: question answering with a tensor-parallel model.

In: a line of standard input for each question, {"question", "context"}, and "title" where there is one. Out: a line
of standard output for each, in turn: {"answer", "start", "end"}, in characters of the context, null where nothing is
found, with the logits of the answer (models.reader.extractive_reader.Finding); or {"error"}. The answers are the same
as those of one process, which needs no torchrun.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common import command_line
from models.reader import shipped_weights
from models.systems.processes import TENSOR, Layout, device, process_group, rank, reported_once, world_size

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM
    from models.reader.types import ReadsPairs
    from models.reader.windows import Passage

IDLE = timedelta(days=365)  # between two questions: in effect, processes wait without a timeout


def opened(folder: Path) -> tuple[GroundedForCausalLM, Layout]:
    """The model of a folder, whole, and a layout of all processes. Raises LayoutError, WeightsError."""
    from models.common.checkpoint import open_model
    from models.network.grounded import GroundedForCausalLM

    model, layout = open_model(GroundedForCausalLM, folder), Layout(tensor=world_size())
    layout.check(model.config)
    return model.eval(), layout


def requests(lines: Iterable[str]) -> Iterator[tuple[str, Passage] | str]:
    """The question and passage of each line, or what is wrong with the line."""
    from models.reader.windows import Passage

    for number, line in enumerate(lines, 1):
        try:
            given = json.loads(line)
            question, context, title = given["question"], given["context"], given.get("title", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            question = context = title = None
        valid = all(isinstance(text, str) for text in (question, context, title))
        wrong = f'line {number} is not {{"question": "...", "context": "..."}}'
        yield (question, Passage(context, title)) if valid else wrong


def answer(reader: ReadsPairs, question: str, passage: Passage) -> dict[str, Any]:
    (found,) = reader.read_pairs([(question, passage)])
    if found.end <= found.start:
        return {"answer": None, "start": None, "end": None}
    span = {"answer": passage.text[found.start : found.end], "start": found.start, "end": found.end}
    return span | {"span": found.span, "answerable": found.answerable, "evidence": found.evidence}


def serve(reader: ReadsPairs, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Answers to the lines that rank 0 reads; every process computes its part of each. Called by every process."""
    import torch.distributed as dist

    given = requests(lines) if not rank() else iter(())
    while True:
        turn = [next(given, None)]
        dist.broadcast_object_list(turn, device="cpu")
        if turn[0] is None:
            return
        yield {"error": turn[0]} if isinstance(turn[0], str) else answer(reader, *turn[0])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="torchrun --nproc-per-node N -m models.systems.serve",
        description="Answer questions with a model that several processes share.",
    )
    add = parser.add_argument
    add("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model's folder (the shipped weights)")
    add("--greedy", action="store_true", help="have the model write its answers, instead of choosing among drafts")
    options = parser.parse_args(arguments)
    model, layout = reported_once(lambda: opened(options.model))
    from models.network.grounded_reader import GroundedReader
    from models.systems.tensor_parallel import share_heads

    with process_group(IDLE):
        if layout.tensor > 1:
            share_heads(model, layout.mesh()[TENSOR])
        for line in serve(GroundedReader(model.to(device()), greedy=options.greedy), sys.stdin):
            if not rank():
                print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
