"""python -m models.systems.harness --data DATA [--tasks TASK...]: the grounded model under lm-evaluation-harness.

A task is a file: DATA/qa/dev/TASK.jsonl.gz, or DATA/bigbench/bigbench_TASK.jsonl.gz (BIG-bench, arXiv 2206.04615);
bench/tasks says how each kind is asked and scored. Passages become memory, which the decoder was trained to answer
from (models.systems.text_interface). BIG-bench has no passages: there the whole text is memory, and its last question
the prompt. `--plain` puts everything into the prompt instead, through lm_eval's own HFLM.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common import base_encoder, command_line
from models.common.checkpoint import open_model
from models.common.errors import DataError
from models.common.metrics import at_random
from models.network.grounded import GroundedForCausalLM  # first: it mends torchvision's import
from models.reader import shipped_weights
from models.reader.extractive_reader import BATCH
from models.systems import variants  # noqa: F401 - so that open_model knows the variants
from models.systems.text_interface import TextInterface

# isort: split
from lm_eval.api.model import LM

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

TASKS = Path(__file__).parents[2] / "bench" / "tasks"
GROUNDED = ("squad11_dev_rest", "squad2_dev", "qed_nq", "tatqa", "fairytaleqa")
BIGBENCH = "bigbench_"
KINDS = {"choice": "choices", "free": "continuation", "grounded": "question"}  # kind of task -> a field of its rows
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class TaskReport:
    """Figures of lm_eval with their standard errors, over n requests.

    chance: what guessing reaches. constant: what the most frequent answer reaches, always given.
    """

    n: int
    figures: Figures
    errors: Figures
    chance: Figures
    constant: Figures


class GroundedLM(LM):
    """A grounded model that lm_eval can ask; models.systems.text_interface says what it reads of a request."""

    def __init__(self, model: GroundedForCausalLM) -> None:
        super().__init__()
        self._interface = TextInterface(model)

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return self._interface.likelihoods([request.args for request in requests])

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Each answer up to the first of its stop strings."""
        if not requests:
            return []
        longest = max(request.args[1]["max_gen_toks"] for request in requests)
        written = self._interface.write([request.args[0] for request in requests], longest)
        stops = [request.args[1]["until"] for request in requests]
        return [
            min((one.text.split(stop)[0] for stop in until), key=len) for until, one in zip(stops, written, strict=True)
        ]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise DataError("a text by itself has no memory: ask for it with --plain")


def plain(model: GroundedForCausalLM) -> LM:
    """lm_eval's own adapter: no memory, everything in the prompt.

    Its tokenizer puts no [SEP] behind a prompt, so that what follows is read as the prompt's continuation.
    """
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_encoder.folder(), bos_token="[CLS]", eos_token="[SEP]")
    return HFLM(
        pretrained=model, tokenizer=tokenizer, add_bos_token=False, batch_size=BATCH,
        max_length=model.config.max_position_embeddings,
    )  # fmt: skip


def files(data: Path, names: Sequence[str] = ()) -> dict[str, Path]:
    """The files of these tasks; without names, of GROUNDED and all of BIG-bench. Raises DataError."""

    def found(folder: Path, prefix: str = "") -> dict[str, Path]:
        paths = sorted(folder.glob(f"{prefix}*.jsonl.gz"))
        return {path.name.partition(".")[0].removeprefix(prefix): path for path in paths}

    general = found(data / "bigbench", BIGBENCH)
    known = found(data / "qa" / "dev") | general
    if missing := [name for name in names or GROUNDED if name not in known]:
        there = ", ".join(known) or "none, name a folder with qa/dev and bigbench"
        raise DataError(f"{data} has no task {', '.join(missing)}: there are {there}")
    return {name: known[name] for name in names or (*GROUNDED, *general)}


def settings(name: str, file: Path, cache: Path) -> dict[str, Any]:
    """lm_eval's settings of a task: those of its kind, with its name and its file. Raises DataError."""
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            first = json.loads(next(lines, ""))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}): fetch it again") from error
    kind = next((kind for kind, field in KINDS.items() if field in first), None)
    if kind is None:
        raise DataError(
            f"{file} is no task: its lines need choices, a continuation, or a question with its context"
        )
    source = {"data_files": {"test": str(file)}, "cache_dir": str(cache)}
    return load_yaml(TASKS / f"{kind}.yaml") | {"task": name, "dataset_kwargs": source}


def baselines(rows: Sequence[Mapping[str, Any]]) -> tuple[Figures, Figures]:
    """(chance, constant) of a TaskReport. For a question with a passage chance is a random span of the passage."""
    if "choices" in rows[0]:
        chance = sum(1 / len(row["choices"]) for row in rows) / len(rows)
        return {"acc": chance}, {"acc": _most_frequent([row["gold"] for row in rows])}
    if "continuation" in rows[0]:
        return {"exact_match": 0.0}, {"exact_match": _most_frequent([row["continuation"] for row in rows])}
    golds = [[answer["text"] for answer in row["answers"]] for row in rows]
    exact, f1 = zip(*(at_random(row["context"], gold) for row, gold in zip(rows, golds, strict=True)), strict=True)
    return {"exact_match": sum(exact) / len(rows), "f1": sum(f1) / len(rows)}, {}


def _most_frequent(answers: Sequence[Any]) -> float:
    """The share of the most frequent answer."""
    return max(Counter(answers).values()) / len(answers)


def evaluate(model: LM, tasks: Mapping[str, Path], limit: int | None = None) -> dict[str, TaskReport]:
    """limit: requests of each task at most. Raises DataError."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as cache:
        described = [settings(name, file, Path(cache)) for name, file in tasks.items()]
        manager = TaskManager(include_defaults=False)  # the default tasks are thousands
        made = simple_evaluate(model, tasks=described, limit=limit, task_manager=manager)
    return {name: _report(made["results"][name], made["samples"][name]) for name in tasks}


def _report(results: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> TaskReport:
    values = {name.removesuffix(",none"): value for name, value in results.items() if name.endswith(",none")}
    figures = {name: float(value) for name, value in values.items() if not name.endswith("_stderr")}
    of_figures = {name: values.get(f"{name}_stderr") for name in figures}
    errors = {name: error for name, error in of_figures.items() if isinstance(error, float)}  # one request has none
    rows = [sample["doc"] for sample in samples]
    return TaskReport(len(rows), *map(_rounded, (figures, errors, *baselines(rows))))


def _rounded(figures: Figures) -> Figures:
    return {name: round(value, 4) for name, value in figures.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.harness",
        description="lm-evaluation-harness over local tasks: grounded questions and BIG-bench.",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with qa/dev and bigbench")
    every = f"names of files; without: all of BIG-bench, and {', '.join(GROUNDED)}"
    add("--tasks", nargs="+", metavar="TASK", default=(), help=every)
    add("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model's folder (the shipped weights)")
    add("--limit", type=int, help="requests of each task at most")
    add("--plain", action="store_true", help="no memory: everything in the prompt, through lm_eval's HFLM")
    add("--json", action="store_true")
    options = parser.parse_args(arguments)
    tasks = files(options.data, options.tasks)
    model = open_model(GroundedForCausalLM, options.model)
    reports = evaluate(plain(model) if options.plain else GroundedLM(model), tasks, options.limit)
    if options.json:
        print(json.dumps({name: asdict(report) for name, report in reports.items()}, indent=2))
        return
    for name, one in reports.items():
        print(f"{name:<24} n {one.n:<5} " + "  ".join(_line(one, figure) for figure in one.figures))


def _line(report: TaskReport, figure: str) -> str:
    """One figure with its standard error and its baselines."""
    error = f" ± {report.errors[figure]:.3f}" if figure in report.errors else ""
    named = {"chance": report.chance, "constant": report.constant}
    levels = "".join(f", {name} {values[figure]:.3f}" for name, values in named.items() if figure in values)
    return f"{figure} {report.figures[figure]:.3f}{error}{levels}"


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
