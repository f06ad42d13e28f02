"""python -m models.training.evaluate qa FILE.jsonl[.gz]... [--model DIR] [--json]: how well a reader answers.

It is given questions with their passage. Sparse attention and variants of the network: models.systems.evaluate.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from models.common import command_line
from models.common.checkpoint import model_type, open_model
from models.common.errors import AttentionError, WeightsError
from models.common.metrics import (
    Detection,
    Score,
    abstention,
    area_under_roc,
    calibration_error,
    mean,
    risk_coverage,
    squad,
)
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader, sigmoid
from models.reader.sequences import WINDOW
from models.reader.types import Finding, ReadsPairs
from models.reader.windows import Passage
from models.training import attention_flags
from models.training.attention_flags import Attend
from models.training.cost_meter import Meter
from models.training.question_sets import QaRow, read_qa


@dataclass(frozen=True, slots=True)
class QaReport:
    """exact_match, f1: of the best span, over questions whose answer is a span.

    The others judge the confidence: abstention at `threshold` (positive = to abstain where there is no answer),
    area under ROC of answerable against unanswerable, area under risk-coverage (loss 1 - F1; 1 for an unanswerable
    one), calibration error of "there is an answer". ms: per question, one at a time is slower.
    """

    exact_match: Score
    f1: Score
    abstention: Detection
    auroc: Score
    risk_coverage: Score
    calibration_error: Score
    ms: float


@dataclass(frozen=True, slots=True)
class Judged:
    """One question, read.

    exact, f1: of its best span, 0 for an unanswerable one. seconds: its share of the reading. said: its text.
    """

    unanswerable: bool
    confidence: float
    exact: float
    f1: float
    seconds: float
    said: str


def judge(reader: ReadsPairs, rows: Sequence[QaRow], confidence: Callable[[Finding], float]) -> list[Judged]:
    """rows: extractive and table questions with a span, or unanswerable ones; others are left out."""
    rows = [row for row in rows if row.unanswerable or row.span]
    started = time.perf_counter()
    findings = reader.read_pairs([(row.question, Passage(row.context, row.title, row.boxes)) for row in rows])
    seconds = (time.perf_counter() - started) / max(1, len(rows))
    judged = []
    for row, finding in zip(rows, findings, strict=True):
        said = row.context[finding.start : finding.end]
        exact, f1 = (0.0, 0.0) if row.unanswerable else squad(said, [answer.text for answer in row.answers])
        judged.append(Judged(row.unanswerable, confidence(finding), exact, f1, seconds, said))
    return judged


def report(judged: Sequence[Judged], threshold: float = 0.5) -> QaReport:
    sure = [one.confidence for one in judged]
    unanswerable = [one.unanswerable for one in judged]
    answerable = [not value for value in unanswerable]
    return QaReport(
        exact_match=mean([one.exact for one in judged if not one.unanswerable]),
        f1=mean([one.f1 for one in judged if not one.unanswerable]),
        abstention=abstention([value < threshold for value in sure], unanswerable),
        auroc=area_under_roc(sure, answerable),
        risk_coverage=risk_coverage(sure, [1 - one.f1 for one in judged]),
        calibration_error=calibration_error(sure, answerable),
        ms=round(1000 * sum(one.seconds for one in judged) / max(1, len(judged)), 2),
    )


def evaluate_qa(
    reader: ReadsPairs, rows: Sequence[QaRow], confidence: Callable[[Finding], float], threshold: float = 0.5
) -> QaReport:
    return report(judge(reader, rows, confidence), threshold)


def open_reader(
    folder: Path | None = None, *, greedy: bool = False, block: int | None = None, attend: Attend | None = None
) -> ReadsPairs:
    """The reader of a folder: a model that models.training.train wrote, or shipped weights; without one those of Folio.

    greedy: a grounded model writes its answers itself. block: the tokens that it reads as one block. attend: see
    models.training.attention_flags. With block or attend, shipped weights are read by torch. Raises WeightsError.
    """
    folder = folder or shipped_weights.FOLDER
    if block is None and attend is None and shipped_weights.is_shipped(folder):
        return Reader(shipped_weights.encoder(shipped_weights.describe(folder)))
    from models.network.baseline_reader import BaselineReader, compute
    from models.network.grounded import GroundedForCausalLM
    from models.network.grounded_reader import GroundedReader

    grounded = model_type(folder) != BaselineReader.config_class.model_type
    model = open_model(GroundedForCausalLM if grounded else BaselineReader, folder).eval()
    if attend:
        model = attend(model)
    return GroundedReader(model, greedy=greedy, window=block or WINDOW) if grounded else Reader(compute(model))


def named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by their names up to the first dot; by their whole path where several have that name."""
    names = [file.name.partition(".")[0] for file in files]
    return {name if names.count(name) == 1 else str(file): file for name, file in zip(names, files, strict=True)}


def main(
    arguments: Sequence[str] | None = None, attention: ModuleType = attention_flags,
    module: str = "models.training.evaluate",
) -> None:  # fmt: skip
    """The command `python -m MODULE`. attention: a module with models.training.attention_flags' functions."""
    about = "How well a reader answers from the given passage."
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    commands = parser.add_subparsers(dest="command", required=True)
    qa = commands.add_parser("qa", help="EM, F1, abstention, calibration on files of questions with their passage")
    qa.add_argument("files", type=Path, nargs="+")
    trained = "a folder that models.training.train or rag/training/fit_reader.py wrote; without it, the shipped weights"
    qa.add_argument("--model", type=Path, help=trained)
    adapted = "a folder that python -m models.training.finetune wrote, for shipped weights"
    qa.add_argument("--adapter", type=Path, help=adapted)
    greedy = "have a grounded model write its answers, instead of choosing among drafts"
    qa.add_argument("--greedy", action="store_true", help=greedy)
    qa.add_argument("--block", type=int, help=f"tokens of a passage that torch reads as one block ({WINDOW})")
    attention.add(qa)
    qa.add_argument("--limit", type=int, help="questions of each file at most")
    qa.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    meter, attend = None, attention.given(options)
    if options.block is not None and options.block < WINDOW:
        raise AttentionError(f"blocks of {options.block} tokens: give at least {WINDOW}")
    folder = options.model or shipped_weights.FOLDER
    if options.block is None and attend is None and (options.model is None or shipped_weights.is_shipped(folder)):
        meter = Meter(shipped_weights.encoder(shipped_weights.describe(folder, options.adapter)))
    elif options.adapter:
        raise WeightsError("an adapter goes with shipped weights in int8: leave out --model, --block and --attention")
    if meter:
        reader = Reader(meter)
    else:
        reader = open_reader(options.model, greedy=options.greedy, block=options.block, attend=attend)
    judged = {
        name: judge(reader, read_qa(file)[: options.limit], lambda finding: sigmoid(finding.answerable))
        for name, file in named(options.files).items()
    }
    reports = {name: report(some) for name, some in judged.items()}
    if len(judged) > 1:
        reports["all"] = report([one for some in judged.values() for one in some])
    if options.json:
        cost = {"cost": meter.figures()} if meter else {}
        print(json.dumps({name: asdict(report) for name, report in reports.items()} | cost, indent=2))
        return
    for name, one in reports.items():
        shown = f"EM {one.exact_match}  F1 {one.f1}  abstention F1 {one.abstention.f1}  AUROC {one.auroc}"
        print(f"{name:<18} {shown}  ECE {one.calibration_error}  {one.ms} ms")
    if meter:
        print("  ".join(f"{name} {value}" for name, value in meter.figures().items()))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
