"""python -m models.systems.aspects FILE.jsonl[.gz]...: HELM's seven aspects (arXiv 2211.09110) of the shipped reader.

In: questions with their passage. Out: accuracy, calibration, robustness, fairness, bias, toxicity and efficiency.
Answers are spans of passages, so the reader cannot add an offensive word (`toxicity.added` is 0 by construction);
`quoted` is how often it quotes one. The word lists of dialect, gender and names are short: a small change of F1 under
those perturbations does not prove fairness.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    """F1 under each perturbation, and the number of questions that each changes.

    plain: F1 without a perturbation. mean: over perturbations. worst: of each question the lowest F1, with the
    unperturbed one among them, as in HELM.
    """

    plain: Score
    f1: dict[str, Score]
    changed: dict[str, int]
    mean: Score
    worst: Score


@dataclass(frozen=True, slots=True)
class Accuracy:
    exact_match: Score
    f1: Score
    chance_f1: Score  # of a random span of the passage


@dataclass(frozen=True, slots=True)
class Calibration:
    """ECE of the raw confidence, as the probability of "there is an answer" and of "the answer is right".

    Right is an F1 of at least models.common.metrics.CORRECT.
    """

    answerable: Score
    right: Score


@dataclass(frozen=True, slots=True)
class Balance:
    """How often words of each group occur in answers and in references.

    answers, references: the distance of each from equal shares (0), see `variation`; None where no word occurs.
    """

    answer_counts: dict[str, int]
    reference_counts: dict[str, int]
    answers: float | None
    references: float | None


@dataclass(frozen=True, slots=True)
class Toxicity:
    """Shares of answers with an offensive word that is not in the passage, and with one that is quoted from it."""

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
class Evaluated:
    """Questions with their scored answers: unperturbed, and by name of the perturbation.

    changed: how many questions each perturbation changes.
    """

    rows: list[QaRow]
    judged: list[Judged]
    perturbed: dict[str, list[Judged]]
    changed: dict[str, int]


def evaluate(reader: ReadsPairs, rows: Sequence[QaRow], seed: int = 0) -> Evaluated:
    """Ask the reader every question, and every perturbed one that differs. seed: of the perturbations."""
    rows = [row for row in rows if row.unanswerable or row.span]
    judged = judge(reader, rows, confidence)
    by_name, changed = {}, {}
    for name in tqdm([*ROBUSTNESS, *FAIRNESS], desc="perturbed", disable=None):
        others = [perturbed(row, name, seed) if row.span else row for row in rows]
        places = [at for at, (row, other) in enumerate(zip(rows, others, strict=True)) if row != other]
        again = dict(zip(places, judge(reader, [others[at] for at in places], confidence), strict=True))
        by_name[name] = [again.get(at, one) for at, one in enumerate(judged)]
        changed[name] = len(places)
    return Evaluated(rows, judged, by_name, changed)


def confidence(finding: Finding) -> float:
    return sigmoid(finding.answerable)


def aspects(evaluated: Evaluated, cost: Mapping[str, float]) -> Aspects:
    """The report. cost: further figures of efficiency, from models.training.cost_meter."""
    own = report(evaluated.judged)
    answered = [(row, one) for row, one in zip(evaluated.rows, evaluated.judged, strict=True) if row.span]
    answers, references = [one.said for _, one in answered], [row.span.text for row, _ in answered]
    by_chance = [at_random(row.context, [answer.text for answer in row.answers])[1] for row, _ in answered]
    sure, right = [one.confidence for one in evaluated.judged], [one.f1 >= CORRECT for one in evaluated.judged]
    return Aspects(
        accuracy=Accuracy(own.exact_match, own.f1, mean(by_chance)),
        calibration=Calibration(own.calibration_error, calibration_error(sure, right)),
        robustness=under(evaluated, ROBUSTNESS),
        fairness=under(evaluated, FAIRNESS),
        bias={name: balance(answers, references, groups) for name, groups in GROUPS.items()},
        toxicity=_toxicity([(one.said, row.context) for row, one in answered]),
        efficiency={"ms_per_question": own.ms, **cost},
    )


def _toxicity(pairs: Iterable[tuple[str, str]]) -> Toxicity:
    """pairs: (answer, passage)."""
    found = [(OFFENSIVE & set(words(answer)), set(words(passage))) for answer, passage in pairs]
    added = mean([bool(offensive - passage) for offensive, passage in found])
    return Toxicity(added, mean([bool(offensive & passage) for offensive, passage in found]))


def under(evaluated: Evaluated, names: Iterable[str]) -> Perturbed:
    """F1 of the answerable questions under the perturbations of these names."""
    places = [at for at, row in enumerate(evaluated.rows) if row.span]
    plain = [evaluated.judged[at].f1 for at in places]
    f1 = {name: [evaluated.perturbed[name][at].f1 for at in places] for name in names}
    means = [sum(some) / len(some) for some in zip(*f1.values(), strict=True)]
    worst = [min(some) for some in zip(plain, *f1.values(), strict=True)]
    changed = {name: evaluated.changed[name] for name in f1}
    return Perturbed(mean(plain), {name: mean(some) for name, some in f1.items()}, changed, mean(means), mean(worst))


def balance(answers: Sequence[str], references: Sequence[str], groups: Mapping[str, frozenset[str]]) -> Balance:
    """groups: the words of each group."""
    counts = []
    for texts in (answers, references):
        occurrences = Counter(word for text in texts for word in words(text))
        counts.append({name: sum(occurrences[word] for word in listed) for name, listed in groups.items()})
    sizes = [len(listed) for listed in groups.values()]
    return Balance(*counts, *(variation(list(some.values()), sizes) for some in counts))


def variation(counts: Sequence[int], sizes: Sequence[int]) -> float | None:
    """HELM's score of demographic representation: total variation distance of the groups' shares from equal shares.

    counts: occurrences of each group's words, divided by the length of the group's list (sizes). None without a word.
    """
    rates = [count / size for count, size in zip(counts, sizes, strict=True)]
    return sum(abs(one / sum(rates) - 1 / len(rates)) for one in rates) / 2 if any(rates) else None


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def joined(parts: Sequence[Evaluated]) -> Evaluated:
    """Several files as one."""
    names = [*ROBUSTNESS, *FAIRNESS]
    return Evaluated(
        [row for part in parts for row in part.rows],
        [judged for part in parts for judged in part.judged],
        {name: [judged for part in parts for judged in part.perturbed[name]] for name in names},
        {name: sum(part.changed[name] for part in parts) for name in names},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.aspects", description="HELM's seven aspects of the shipped reader."
    )
    add = parser.add_argument
    add("files", type=Path, nargs="+", help="JSONL of questions with their passage")
    add("--model", type=Path, help="a folder of shipped weights")
    add("--adapter", type=Path, help="a folder that python -m models.training.finetune wrote")
    add("--limit", type=int, help="questions of each file at most")
    add("--seed", type=int, default=0, help="of the perturbations (0)")
    add("--json", action="store_true")
    options = parser.parse_args(arguments)
    weights = shipped_weights.describe(options.model or shipped_weights.FOLDER, options.adapter)
    meter = Meter(shipped_weights.encoder(weights))
    files = {name: read_qa(file)[: options.limit] for name, file in named(options.files).items()}
    evaluated = {name: evaluate(Reader(meter), rows, options.seed) for name, rows in files.items()}
    reports = {name: aspects(one, {}) for name, one in evaluated.items()}
    reports["all"] = aspects(joined(list(evaluated.values())), meter.figures())
    if options.json:
        print(json.dumps({name: asdict(one) for name, one in reports.items()}, indent=2))
        return
    for name, one in reports.items():
        print("\n".join([name, *(f"  {line}" for line in lines(one))]))


def lines(one: Aspects) -> list[str]:
    """The report for people, one line for each aspect."""
    accuracy, calibration = one.accuracy, one.calibration
    return [
        f"accuracy     EM {accuracy.exact_match}  F1 {accuracy.f1}  chance F1 {accuracy.chance_f1}",
        f"calibration  ECE there is an answer {calibration.answerable}  it is right {calibration.right}",
        f"robustness   {_perturbed(one.robustness)}",
        f"fairness     {_perturbed(one.fairness)}",
        *(f"bias         {name}: {_balance(some)}" for name, some in one.bias.items()),
        f"toxicity     added {one.toxicity.added}  quoted {one.toxicity.quoted}",
        "efficiency   " + "  ".join(f"{name} {value}" for name, value in one.efficiency.items()),
    ]


def _perturbed(some: Perturbed) -> str:
    known = {name: f1.value for name, f1 in some.f1.items() if f1.value is not None}
    each = "  ".join(f"{name} {f1:.3f} ({some.changed[name]} changed)" for name, f1 in known.items())
    return f"F1 {some.plain}  mean {some.mean}  worst {some.worst}  {each}"


def _balance(some: Balance) -> str:
    answers = f"answers {_distance(some.answers)} {some.answer_counts}"
    return f"{answers}  references {_distance(some.references)} {some.reference_counts}"


def _distance(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
