"""Shared by all benches of systems: the model, the questions, the figures of answers, time and memory.

A bench is a module here with `measure(data: Path) -> Iterator[Row]`; DATA is a folder with `qa/dev` and `qa/train`.
Each runs in a process of its own (`python -m bench.systems NAME --data DATA`), unaffected by memory and threads of
others, and takes some two minutes on two idle cores.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from models.common.checkpoint import open_model
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader
from models.reader import shipped_weights
from models.reader.extractive_reader import sigmoid
from models.reader.windows import open_tokenizer
from models.training.evaluate import evaluate_qa
from models.training.objective import writing
from models.training.prepare_data import prepare_rows
from models.training.question_batches import Questions
from models.training.question_sets import QaRow, read_qa
from models.training.train import epochs
from models.training.training_loop import TrainConfig, train

Result = TypeVar("Result")
SETS = ("squad11_dev_rest", "squad2_dev", "qed_nq", "tatqa", "fairytaleqa")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. system: what is measured; form: its variant; figures: by name, with the unit in the name."""

    system: str
    form: str
    figures: dict[str, float | str]


def grounded(folder: Path = shipped_weights.FOLDER) -> GroundedForCausalLM:
    """The shipped reader in torch, float32, ready to answer."""
    return open_model(GroundedForCausalLM, folder).eval()


def development(data: Path, each: int, sets: Sequence[str] = SETS) -> list[QaRow]:
    """The first `each` questions of each of these sets whose answer is a span."""
    files = [data / "qa" / "dev" / f"{name}.jsonl.gz" for name in sets]
    return [row for file in files for row in [row for row in read_qa(file) if row.span][:each]]


def document(data: Path, length: int) -> torch.Tensor:
    """A long text: the first tokens of the contexts of SETS one after the other, (1, length)."""
    tokenizer, ids = open_tokenizer(), []
    files = [data / "qa" / "dev" / f"{name}.jsonl.gz" for name in SETS]
    for context in dict.fromkeys(row.context for file in files for row in read_qa(file)):
        if len(ids) < length:
            ids += tokenizer.encode(context, add_special_tokens=False).ids
    assert len(ids) >= length, f"the development files have {len(ids)} tokens"
    return torch.tensor([ids[:length]])


def answered(model: GroundedForCausalLM, rows: Sequence[QaRow], *, greedy: bool = False) -> dict[str, float]:
    """EM, F1 and ms a question; of drafts that the decoder verifies, or with `greedy` of the answers that it writes."""
    found = evaluate_qa(GroundedReader(model, greedy=greedy), rows, lambda finding: sigmoid(finding.answerable))
    return {"EM": round(found.exact_match.value, 3), "F1": round(found.f1.value, 3), "ms a question": found.ms}


def drawn(data: Path, each: int) -> list[QaRow]:
    """`each` random training questions of each of SETS."""
    files = [data / "qa" / "train" / f"{name}.jsonl.gz" for name in SETS]
    return [row for file in files for row in random.Random(0).sample(read_qa(file), each)]


def prepare(rows: Sequence[QaRow], folder: Path) -> Path:
    """Prepare questions for models.training.train. Returns the folder."""
    prepare_rows(list(rows), folder)
    return folder


def fastest(act: Callable[[], Any], rounds: int = 3) -> float:
    """Seconds of the fastest of some rounds, after one that does not count."""
    act()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return min(taken)


def taught(
    model: GroundedForCausalLM, questions: Questions, batches: int, out: Path, fresh: tuple[str, ...] = ()
) -> GroundedForCausalLM:
    """A short training of the decoder over a frozen memory encoder. fresh: see models.training.training_loop.train."""
    model.memory.requires_grad_(False)
    config = TrainConfig(epochs=1, batches=batches, tokens=2048, precision="fp32")
    return train(model, epochs(questions, config), writing, config, out, fresh=fresh).eval()


def fresh(act: Callable[..., Result], *arguments: Any) -> Result:
    """The result of a module's function, called in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(act, *arguments).result()


def peak(act: Callable[[], Any]) -> float:
    """MiB of resident memory at the peak, above those before. For Linux with glibc alone."""
    ctypes.CDLL(None).malloc_trim(0)  # freed memory, used again, would not be counted
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _resident("VmRSS")
    act()
    return _resident("VmHWM") - before


def _resident(name: str) -> float:
    """MiB, from a line of /proc/self/status."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
