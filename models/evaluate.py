"""python -m models.evaluate qa FILE.jsonl[.gz]... --model DIR [--json]: how well a reader answers from the given passage."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models import command
from models.checkpoint import model_type, open_model
from models.metrics import Detection, Score, abstention, area_under_roc, calibration_error, mean, risk_coverage, squad
from models.qa import QaRow, read_qa
from models.reader import Finding, Passage, Reader, ReadsPairs


@dataclass(frozen=True, slots=True)
class QaReport:
    """exact_match, f1: of the best span, over questions whose answer is a span.

    The others judge the confidence: abstention at `threshold` (positive = to abstain where there is no answer),
    area under ROC of answerable against unanswerable, area under risk-coverage (loss 1 - F1; 1 for an unanswerable one),
    calibration error of "there is an answer". ms: per question, one at a time is slower.
    """

    exact_match: Score
    f1: Score
    abstention: Detection
    auroc: Score
    risk_coverage: Score
    calibration_error: Score
    ms: float


def evaluate_qa(reader: ReadsPairs, rows: Sequence[QaRow], confidence: Callable[[Finding], float], threshold: float = 0.5) -> QaReport:
    """rows: extractive and table questions with a span, or unanswerable ones; others are left out."""
    rows = [row for row in rows if row.unanswerable or row.span]
    started = time.perf_counter()
    findings = reader.read_pairs([(row.question, Passage(row.context, row.title)) for row in rows])
    elapsed = time.perf_counter() - started
    sure = [confidence(finding) for finding in findings]
    pairs = [
        squad(row.context[finding.start : finding.end], [answer.text for answer in row.answers]) if not row.unanswerable else (0.0, 0.0)
        for row, finding in zip(rows, findings, strict=True)
    ]
    given = [pair for row, pair in zip(rows, pairs, strict=True) if not row.unanswerable]
    unanswerable = [row.unanswerable for row in rows]
    return QaReport(
        exact_match=mean([exact for exact, _ in given]),
        f1=mean([f1 for _, f1 in given]),
        abstention=abstention([value < threshold for value in sure], unanswerable),
        auroc=area_under_roc(sure, [not value for value in unanswerable]),
        risk_coverage=risk_coverage(sure, [1 - f1 for _, f1 in pairs]),
        calibration_error=calibration_error(sure, [not value for value in unanswerable]),
        ms=round(1000 * elapsed / max(1, len(rows)), 2),
    )


def open_reader(folder: Path) -> ReadsPairs:
    """The reader of a folder that models.train wrote: a floor or a grounded model. Raises WeightsError."""
    from models.answering import GroundedReader
    from models.floor import FloorReader, compute
    from models.grounded import GroundedForCausalLM

    if model_type(folder) == "grounded":
        return GroundedReader(open_model(GroundedForCausalLM, folder))
    return Reader(compute(open_model(FloorReader, folder).eval()))


def named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by what stands before the first dot of their names; by their whole path, where that is not one file's alone."""
    names = [file.name.partition(".")[0] for file in files]
    return {name if names.count(name) == 1 else str(file): file for name, file in zip(names, files, strict=True)}


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__.split(": ")[1])
    commands = parser.add_subparsers(dest="command", required=True)
    qa = commands.add_parser("qa", help="EM, F1, abstention, calibration on files of questions with their passage")
    qa.add_argument("files", type=Path, nargs="+")
    qa.add_argument("--model", type=Path, required=True, help="a folder that models.train wrote")
    qa.add_argument("--limit", type=int, help="questions of each file at most")
    qa.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    reader = open_reader(options.model)
    reports = {}
    for name, file in named(options.files).items():
        rows = read_qa(file)[: options.limit]
        reports[name] = evaluate_qa(reader, rows, lambda finding: sigmoid(finding.answerable))
    if options.json:
        print(json.dumps({name: asdict(report) for name, report in reports.items()}, indent=2))
        return
    for name, report in reports.items():
        print(f"{name:<18} EM {report.exact_match}  F1 {report.f1}  abstention F1 {report.abstention.f1}  AUROC {report.auroc}  ECE {report.calibration_error}  {report.ms} ms")


if __name__ == "__main__":
    raise SystemExit(command.run(main))
