"""torchrun --nproc-per-node N -m models.systems.serve --model DIR: answers questions with a model whose heads and channels N processes share.

A line of standard input is {"question", "context"}, with "title" where there is one; each gets a line on standard output, in turn: {"answer", "start", "end"}, the place in the
context, null where nothing is found, and the logits of what was found (models.reader.extractive_reader.Finding); or {"error"}. The answers are those of one process, which needs no torchrun.
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
from models.systems.processes import TENSOR, Layout, agreed, device, rank, together, world

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM
    from models.reader.types import ReadsPairs
    from models.reader.windows import Passage

IDLE = timedelta(days=365)  # between two questions


def opened(folder: Path) -> tuple[GroundedForCausalLM, Layout]:
    """Raises LayoutError, WeightsError."""
    from models.common.checkpoint import open_model
    from models.network.grounded import GroundedForCausalLM

    model, layout = open_model(GroundedForCausalLM, folder), Layout(tensor=world())
    layout.check(model.config)
    return model.eval(), layout


def asked(lines: Iterable[str]) -> Iterator[tuple[str, Passage] | str]:
    """The question and passage of each line, or what is wrong with it."""
    from models.reader.windows import Passage

    for number, line in enumerate(lines, 1):
        try:
            given = json.loads(line)
            question, context, title = (given[name] if name != "title" else given.get(name, "") for name in ("question", "context", "title"))
        except (ValueError, KeyError, TypeError, AttributeError):
            question = context = title = None
        fine = all(isinstance(text, str) for text in (question, context, title))
        yield (question, Passage(context, title)) if fine else f'line {number} is not {{"question": "...", "context": "..."}}'


def answer(reader: ReadsPairs, question: str, passage: Passage) -> dict[str, Any]:
    (found,) = reader.read_pairs([(question, passage)])
    if found.end <= found.start:
        return {"answer": None, "start": None, "end": None}
    said = {"answer": passage.text[found.start : found.end], "start": found.start, "end": found.end}
    return said | {"span": found.span, "answerable": found.answerable, "evidence": found.evidence}


def serve(reader: ReadsPairs, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Answers to lines that the first process reads; each process computes its part of all."""
    import torch.distributed as dist

    given = asked(lines) if not rank() else iter(())
    while True:
        turn = [next(given, None)]
        dist.broadcast_object_list(turn, device="cpu")
        if turn[0] is None:
            return
        yield {"error": turn[0]} if isinstance(turn[0], str) else answer(reader, *turn[0])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="torchrun --nproc-per-node N -m models.systems.serve", description="Answer questions with a model that several processes share.")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="a folder of a grounded model; without it, the shipped weights")
    parser.add_argument("--greedy", action="store_true", help="have the model write its answers, instead of choosing among drafts")
    options = parser.parse_args(arguments)
    model, layout = agreed(lambda: opened(options.model))
    from models.network.grounded_reader import GroundedReader
    from models.systems.tensor_parallel import share_heads

    with together(IDLE):
        if layout.tensor > 1:
            share_heads(model, layout.mesh()[TENSOR])
        for line in serve(GroundedReader(model.to(device()), greedy=options.greedy), sys.stdin):
            if not rank():
                print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
