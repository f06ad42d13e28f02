"""python -m models.systems.aspects FILE.jsonl[.gz]... [--adapter DIR] [--json]: HELM's seven aspects (arXiv 2211.09110) of the shipped reader on questions with their passage.

Answers are spans, so it cannot say an offensive word that its passage does not say: `toxicity.added` is 0 by construction, and `quoted` tells how often one is quoted.
Dialect, gender and names are small lists (models.systems.perturbations): a small change of F1 under them is no proof of fairness.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from models.common import command_line
from models.common.metrics import CORRECT, Score, at_random, calibration_error, mean
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader, sigmoid
from models.reader.types import Finding, ReadsPairs
from models.systems.perturbations import FAIRNESS, ROBUSTNESS, perturbed
from models.systems.word_lists import GROUPS, OFFENSIVE
from models.training.cost_meter import Meter
from models.training.evaluate import Judged, judge, named, report
from models.training.question_sets import QaRow, read_qa

_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Perturbed:
    """f1 under each perturbation; changed: questions that it changes. mean: over perturbations; worst: of each question the least, unperturbed too, as HELM has it."""

    plain: Score
    f1: dict[str, Score]
    changed: dict[str, int]
    mean: Score
    worst: Score


@dataclass(frozen=True, slots=True)
class Accuracy:
    exact_match: Score
    f1: Score
    chance_f1: Score  # of words of the passage drawn at random


@dataclass(frozen=True, slots=True)
class Calibration:
    """ECE of the raw confidence: of "there is an answer", and of "this answer is right" (F1 from CORRECT on)."""

    answerable: Score
    right: Score


@dataclass(frozen=True, slots=True)
class Balance:
    """How often words of each group stand in answers and in references, and how far each is from balance (0) in total variation; None where there are none."""

    said: dict[str, int]
    meant: dict[str, int]
    answers: float | None
    references: float | None


@dataclass(frozen=True, slots=True)
class Toxicity:
    """Shares of answers with an offensive word: that is not in the passage, and that is quoted from it."""

    added: Score
    quoted: Score


@dataclass(frozen=True, slots=True)
class Aspects:
    accuracy: Accuracy
    calibration: Calibration
    robustness: Perturbed
    fairness: Perturbed
    bias: dict[str, Balance]
    toxicity: Toxicity
    efficiency: dict[str, float]


@dataclass(frozen=True, slots=True)
class Read:
    """Questions as they were judged: by themselves, and by name of the perturbation; changed says which it changed."""

    rows: list[QaRow]
    judged: list[Judged]
    perturbed: dict[str, list[Judged]]
    changed: dict[str, int]


def read(reader: ReadsPairs, rows: Sequence[QaRow], seed: int = 0) -> Read:
    """What a perturbation leaves as it was is not read again."""
    rows = [row for row in rows if row.unanswerable or row.span]
    asked = judge(reader, rows, confidence)
    by_name, changed = {}, {}
    for name in tqdm([*ROBUSTNESS, *FAIRNESS], desc="perturbed", disable=None):
        made = [perturbed(row, name, seed) if row.span else row for row in rows]
        places = [at for at, (old, new) in enumerate(zip(rows, made, strict=True)) if old != new]
        again = dict(zip(places, judge(reader, [made[at] for at in places], confidence), strict=True))
        by_name[name], changed[name] = [again.get(at, one) for at, one in enumerate(asked)], len(places)
    return Read(rows, asked, by_name, changed)


def confidence(finding: Finding) -> float:
    return sigmoid(finding.answerable)


def aspects(made: Read, cost: Mapping[str, float]) -> Aspects:
    own = report(made.judged)
    answered = [(row, one) for row, one in zip(made.rows, made.judged, strict=True) if row.span]
    said = [one.said for _, one in answered]
    offensive = [(OFFENSIVE & set(words(one.said)), set(words(row.context))) for row, one in answered]
    return Aspects(
        accuracy=Accuracy(own.exact_match, own.f1, mean([at_random(row.context, [answer.text for answer in row.answers])[1] for row, _ in answered])),
        calibration=Calibration(own.calibration_error, calibration_error([one.confidence for one in made.judged], [one.f1 >= CORRECT for one in made.judged])),
        robustness=under(made, ROBUSTNESS),
        fairness=under(made, FAIRNESS),
        bias={name: balance(said, [row.span.text for row, _ in answered], groups) for name, groups in GROUPS.items()},
        toxicity=Toxicity(mean([bool(found - there) for found, there in offensive]), mean([bool(found & there) for found, there in offensive])),
        efficiency={"ms_per_question": own.ms, **cost},
    )


def under(made: Read, names: Sequence[str] | Mapping[str, object]) -> Perturbed:
    places = [at for at, row in enumerate(made.rows) if row.span]
    plain = [made.judged[at].f1 for at in places]
    f1 = {name: [made.perturbed[name][at].f1 for at in places] for name in names}
    return Perturbed(
        mean(plain), {name: mean(some) for name, some in f1.items()}, {name: made.changed[name] for name in names},
        mean([sum(some) / len(some) for some in zip(*f1.values(), strict=True)]), mean([min(some) for some in zip(plain, *f1.values(), strict=True)]),
    )  # fmt: skip


def balance(answers: Sequence[str], references: Sequence[str], groups: Mapping[str, frozenset[str]]) -> Balance:
    counts = []
    for texts in (answers, references):
        there = Counter(word for text in texts for word in words(text))
        counts.append({name: sum(there[word] for word in listed) for name, listed in groups.items()})
    sizes = [len(listed) for listed in groups.values()]
    return Balance(*counts, *(variation(list(some.values()), sizes) for some in counts))


def variation(counts: Sequence[int], sizes: Sequence[int]) -> float | None:
    """HELM's score of demographic representation: the distance of the groups' shares from equal ones, each for the length of its list; None without a word."""
    weighed = [count / size for count, size in zip(counts, sizes, strict=True)]
    return sum(abs(one / sum(weighed) - 1 / len(weighed)) for one in weighed) / 2 if any(weighed) else None


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.systems.aspects", description="HELM's seven aspects of the shipped reader.")
    parser.add_argument("files", type=Path, nargs="+", help="JSONL of questions with their passage")
    parser.add_argument("--model", type=Path, help="a folder of shipped weights")
    parser.add_argument("--adapter", type=Path, help="a folder that python -m models.training.finetune wrote")
    parser.add_argument("--limit", type=int, help="questions of each file at most")
    parser.add_argument("--seed", type=int, default=0, help="of the perturbations (0)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    meter = Meter(shipped_weights.encoder(shipped_weights.describe(options.model or shipped_weights.FOLDER, options.adapter)))
    files = {name: read_qa(file)[: options.limit] for name, file in named(options.files).items()}
    made = {name: read(Reader(meter), rows, options.seed) for name, rows in files.items()}
    reports = {name: aspects(one, {}) for name, one in made.items()}
    reports["all"] = aspects(joined(list(made.values())), meter.figures())
    if options.json:
        print(json.dumps({name: asdict(one) for name, one in reports.items()}, indent=2))
        return
    for name, one in reports.items():
        print("\n".join([name, *(f"  {line}" for line in lines(one))]))


def joined(some: Sequence[Read]) -> Read:
    names = [*ROBUSTNESS, *FAIRNESS]
    return Read(
        [row for one in some for row in one.rows], [judged for one in some for judged in one.judged],
        {name: [judged for one in some for judged in one.perturbed[name]] for name in names}, {name: sum(one.changed[name] for one in some) for name in names},
    )  # fmt: skip


def lines(one: Aspects) -> list[str]:
    def shown(some: Perturbed) -> str:
        each = "  ".join(f"{name} {f1.value:.3f} ({some.changed[name]} changed)" for name, f1 in some.f1.items() if f1.value is not None)
        return f"F1 {some.plain}  mean {some.mean}  worst {some.worst}  {each}"

    return [
        f"accuracy     EM {one.accuracy.exact_match}  F1 {one.accuracy.f1}  chance F1 {one.accuracy.chance_f1}",
        f"calibration  ECE there is an answer {one.calibration.answerable}  it is right {one.calibration.right}",
        f"robustness   {shown(one.robustness)}",
        f"fairness     {shown(one.fairness)}",
        *(f"bias         {name}: answers {_distance(some.answers)} {some.said}  references {_distance(some.references)} {some.meant}" for name, some in one.bias.items()),
        f"toxicity     added {one.toxicity.added}  quoted {one.toxicity.quoted}",
        "efficiency   " + "  ".join(f"{name} {value}" for name, value in one.efficiency.items()),
    ]


def _distance(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
