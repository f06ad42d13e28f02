"""python -m models.systems.harness --data DATA [--tasks TASK...]: the grounded model under lm-evaluation-harness (lm_eval), with local tasks.

A task is a file: DATA/qa/dev/TASK.jsonl.gz, or DATA/bigbench/bigbench_TASK.jsonl.gz (arXiv 2206.04615); bench/tasks says how each kind is asked and scored. Passages are
memory, as in all that the decoder has learned (models.systems.text_interface); BIG-bench has no passages: there the whole text is memory, and its last question is the prompt.
`--plain` puts all of it into the prompt instead, through lm_eval's own HFLM.
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
from models.systems.text_interface import Prompted

# isort: split
from lm_eval.api.model import LM

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

TASKS = Path(__file__).parents[2] / "bench" / "tasks"
GROUNDED = ("squad11_dev_rest", "squad2_dev", "qed_nq", "tatqa", "fairytaleqa")
BIGBENCH = "bigbench_"


@dataclass(frozen=True, slots=True)
class TaskReport:
    """figures, errors: lm_eval's, with their standard errors, over n requests. chance: what guessing reaches; constant: always saying the most frequent answer."""

    n: int
    figures: dict[str, float]
    errors: dict[str, float]
    chance: dict[str, float]
    constant: dict[str, float]


class GroundedLM(LM):
    """A grounded model that lm_eval can ask; models.systems.text_interface says what it reads of a request."""

    def __init__(self, model: GroundedForCausalLM) -> None:
        super().__init__()
        self._prompted = Prompted(model)

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return self._prompted.likelihoods([request.args for request in requests])

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Each to the first of its stops."""
        if not requests:
            return []
        written = self._prompted.write([request.args[0] for request in requests], max(request.args[1]["max_gen_toks"] for request in requests))
        return [min((one.text.split(stop)[0] for stop in request.args[1]["until"]), key=len) for request, one in zip(requests, written, strict=True)]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise DataError("a text by itself has no memory: ask for it with --plain")


def plain(model: GroundedForCausalLM) -> LM:
    """lm_eval's own adapter: no memory, all in the prompt. Its tokenizer puts no [SEP] behind a prompt: what follows is read as its continuation."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_encoder.folder(), bos_token="[CLS]", eos_token="[SEP]")
    return HFLM(pretrained=model, tokenizer=tokenizer, add_bos_token=False, batch_size=BATCH, max_length=model.config.max_position_embeddings)


def files(data: Path, names: Sequence[str] = ()) -> dict[str, Path]:
    """The tasks of these names, all of BIG-bench and of GROUNDED without; raises DataError."""
    grounded = {file.name.partition(".")[0]: file for file in sorted((data / "qa" / "dev").glob("*.jsonl.gz"))}
    general = {file.name.partition(".")[0].removeprefix(BIGBENCH): file for file in sorted((data / "bigbench").glob(f"{BIGBENCH}*.jsonl.gz"))}
    there = grounded | general
    if missing := [name for name in names or GROUNDED if name not in there]:
        raise DataError(f"{data} has no task {', '.join(missing)}: there are {', '.join(there) or 'none, name a folder with qa/dev and bigbench'}")
    return {name: there[name] for name in names or (*GROUNDED, *general)}


def settings(name: str, file: Path, cache: Path) -> dict[str, Any]:
    """lm_eval's settings of a task: those of its kind, with its name and its file. Raises DataError."""
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            first = json.loads(next(lines, ""))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}): fetch it again") from error
    kind = next((kind for kind, field in (("choice", "choices"), ("free", "continuation"), ("grounded", "question")) if field in first), None)
    if kind is None:
        raise DataError(f"{file} is no task: its lines need choices, a continuation, or a question with its context")
    return load_yaml(TASKS / f"{kind}.yaml") | {"task": name, "dataset_kwargs": {"data_files": {"test": str(file)}, "cache_dir": str(cache)}}


def blind(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """(chance, constant) of a TaskReport; for a passage chance is to say words of it, drawn at random."""
    if "choices" in rows[0]:
        counts = Counter(row["gold"] for row in rows)
        return {"acc": sum(1 / len(row["choices"]) for row in rows) / len(rows)}, {"acc": max(counts.values()) / len(rows)}
    if "continuation" in rows[0]:
        return {"exact_match": 0.0}, {"exact_match": max(Counter(row["continuation"] for row in rows).values()) / len(rows)}
    exact, f1 = zip(*(at_random(row["context"], [answer["text"] for answer in row["answers"]]) for row in rows), strict=True)
    return {"exact_match": sum(exact) / len(rows), "f1": sum(f1) / len(rows)}, {}


def evaluate(model: LM, tasks: Mapping[str, Path], limit: int | None = None) -> dict[str, TaskReport]:
    """Raises DataError."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as cache:
        asked = [settings(name, file, Path(cache)) for name, file in tasks.items()]
        made = simple_evaluate(model, tasks=asked, limit=limit, task_manager=TaskManager(include_defaults=False))  # which are thousands
    reports = {}
    for name in tasks:
        rows = [sample["doc"] for sample in made["samples"][name]]
        found = {figure.removesuffix(",none"): value for figure, value in made["results"][name].items() if figure.endswith(",none")}
        chance, constant = blind(rows)
        figures = {figure: round(float(value), 4) for figure, value in found.items() if not figure.endswith("_stderr")}
        errors = {figure: round(float(error), 4) for figure in figures if isinstance(error := found.get(f"{figure}_stderr"), float)}  # of one request there is none
        reports[name] = TaskReport(len(rows), figures, errors, *({key: round(value, 4) for key, value in one.items()} for one in (chance, constant)))
    return reports


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.systems.harness", description="lm-evaluation-harness over local tasks: grounded questions and BIG-bench.")
    parser.add_argument("--data", type=Path, required=True, help="folder with qa/dev and bigbench")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", default=(), help=f"names of files; without: all of BIG-bench, and {', '.join(GROUNDED)}")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="a folder of shipped weights, or one that models.training.train wrote")
    parser.add_argument("--limit", type=int, help="requests of each task at most")
    parser.add_argument("--plain", action="store_true", help="no memory: everything in the prompt, through lm_eval's HFLM")
    parser.add_argument("--json", action="store_true")
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
    blind = "".join(f", {name} {value[figure]:.3f}" for name, value in (("chance", report.chance), ("constant", report.constant)) if figure in value)
    error = f" ± {report.errors[figure]:.3f}" if figure in report.errors else ""
    return f"{figure} {report.figures[figure]:.3f}{error}{blind}"


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
