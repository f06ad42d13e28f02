"""Fits how the embedded generator chooses a sentence and how sure it is.

    python -m rag.training.fit_reader DATA WORK [--write]

Questions of DATA/qa/dev, on which the reader was not trained, are put to collections of PASSAGES passages of their set
(kept in WORK), their own among them, and again to one to three chunks of what was found. Evidence is read and reranked
as in the pipeline. Those whose passage has an even hash are fitted on; every figure that is printed is of the others.
Kinds of question: answerable; marked as unanswerable (near misses); its own passage taken out; asked of another set's
collection (off-topic). --write writes the group `embedded` of calibration.json.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from indexing.build.run import build
from models.common.metrics import area_under_roc, calibration_error, mean
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.training.question_sets import QaRow, read_qa
from rag.calibration import QuoteWeights, update
from rag.generators.quote.comparison import Comparison
from rag.logistic_regression import probability
from rag.pipeline import RagPipeline
from rag.training import fit_quote
from rag.training.fit_quote import Case, answer_rows, correct, few, fit, fit_ranking, key

SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "policyqa", "covidqa", "fairytaleqa", "wtq", "tatqa")
PASSAGES = 400
RISKS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
# The threshold is that of this risk, so that at least half of what is answered is right where, as here, half of the
# questions have no answer in the evidence. It answers three quarters of those that have one.
DEFAULT_RISK = 0.5
LEAST = 40
FOLDS = 5
QUESTIONS = 60  # of each set and kind


def collection(data: Path, work: Path, name: str) -> Path:
    """An index of the set's development passages and as many of training as make PASSAGES."""
    rows = {split: read_qa(data / "qa" / split / f"{name}.jsonl.gz") for split in ("dev", "train")}
    texts = {key(row.context): row for row in rows["dev"]}
    others = {key(row.context): row for row in rows["train"] if key(row.context) not in texts}
    missing = min(len(others), max(0, PASSAGES - len(texts)))
    texts |= {id: others[id] for id in random.Random(0).sample(sorted(others), missing)}
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    records = ({"_id": id, "title": row.title, "text": row.context} for id, row in sorted(texts.items()))
    (folder / "corpus.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    build([folder / "corpus.jsonl"], folder / "index")
    return folder / "index"


def fitted(row: QaRow) -> bool:
    return int(key(row.context)[:2], 16) % 2 == 0


def attempt(rag: RagPipeline, row: QaRow, reader: Reader, *, without_own: bool) -> Comparison:
    tried = fit_quote.attempt(rag, row.question, key(row.context) if without_own else "", reader)
    return replace(tried, context=replace(tried.context, readings=()))  # states are large, and no decoder is asked


def cases(data: Path, work: Path, reader: Reader) -> list[Case]:
    """`split` of a case is "fitted" or "held"."""
    made = []
    indexes = {name: RagPipeline.from_index(collection(data, work, name), generator="quote") for name in SETS}
    for at, name in enumerate(SETS):
        rows = [row for row in read_qa(data / "qa" / "dev" / f"{name}.jsonl.gz") if len(row.question) < 300]
        random.Random(1).shuffle(rows)
        plain = [row for row in rows if row.span and row.kind in ("extractive", "table")][:QUESTIONS]
        marked = [row for row in rows if row.unanswerable][:QUESTIONS]
        other = SETS[(at + 3) % len(SETS)]
        kinds = {
            "answerable": (plain, name),
            "removed": (plain[: QUESTIONS // 2], name),
            "marked": (marked, name),
            "elsewhere": (plain[: QUESTIONS // 3], other),
        }
        for kind, (chosen, asked) in kinds.items():
            for row in tqdm(chosen, desc=f"{name} {kind}", mininterval=20):
                tried = attempt(indexes[asked], row, reader, without_own=kind == "removed")
                if tried.spans:
                    right = correct(tried, asdict(row)) if kind == "answerable" else np.zeros(len(tried.spans), bool)
                    made.append(Case(name, "fitted" if fitted(row) else "held", kind, tried, right))
    rng = random.Random(3)
    return made + [few(case, rng) for case in made if rng.random() < 0.4]


def fitted_weights(chosen: list[Case]) -> QuoteWeights:
    """Weights of all cases, and thresholds by cross-validation: on their own cases confidences are too high."""
    folds = [[case for case in chosen if fold(case) == number] for number in range(FOLDS)]
    tried = [confidences([case for case in chosen if fold(case) != number], folds[number]) for number in range(FOLDS)]
    risks = fit_risks(*(np.concatenate(values) for values in zip(*tried, strict=True)))
    sentence, slopes, bias = slopes_of(chosen)
    weights = (tuple(np.round(values, 4).tolist()) for values in (sentence, slopes))
    return QuoteWeights(*weights, round(bias, 4), dict(risks)[DEFAULT_RISK], risks)


def slopes_of(chosen: list[Case]) -> tuple[np.ndarray, np.ndarray, float]:
    sentence = fit_ranking([case for case in chosen if case.kind == "answerable" and case.correct.any()])
    return sentence, *fit(*answer_rows(chosen, sentence))


def confidences(fitted_on: list[Case], asked: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """(whether the quote is right, its confidence) of each case asked."""
    sentence, slopes, bias = slopes_of(fitted_on)
    rows, right = answer_rows(asked, sentence)
    return right, probability(rows, slopes, bias)


def fold(case: Case) -> int:
    """The fold of a question, the same for each collection that it is asked of."""
    return int(key(case.attempt.question.text)[:4], 16) % FOLDS


def fit_risks(right: np.ndarray, sure: np.ndarray) -> tuple[tuple[float, float], ...]:
    """(risk, threshold), risks ascending: the least threshold above which at most that share of the answers was wrong.

    Thresholds with fewer than LEAST answers above them do not count.
    """
    grid = np.round(np.arange(0.0, 1.0, 0.01), 2)
    wrong = {float(at): float(1 - right[sure >= at].mean()) for at in grid if (sure >= at).sum() >= LEAST}
    found = [(risk, min((at for at, share in wrong.items() if share <= risk), default=None)) for risk in RISKS]
    return tuple((risk, at) for risk, at in found if at is not None)


def report(held: list[Case], weights: QuoteWeights) -> None:
    rows, right = answer_rows(held, np.array(weights.sentence))
    sure = probability(rows, weights.answer, weights.bias)
    kinds, names = (np.array([getattr(case, field) for case in held]) for field in ("kind", "name"))
    there = np.array([bool(case.correct.any()) for case in held])
    asked = kinds == "answerable"
    print("right sentence among the evidence", mean(there[asked]))
    print("it is the one quoted, where it is there", mean(right[asked & there]))
    print("AUROC of confidence, right quote", area_under_roc(sure, right), " ECE", calibration_error(sure, right))
    print("AUROC of confidence, the answer is among the evidence", area_under_roc(sure, there))
    for kind in ("removed", "marked", "elsewhere"):
        pick = (kinds == kind) | asked
        print(f"AUROC, answerable against {kind}", area_under_roc(sure[pick], asked[pick]))
    shown = sure >= weights.threshold
    for kind in ("answerable", "removed", "marked", "elsewhere"):
        print(f"abstains on {kind}", mean(~shown[kinds == kind]))
    print("right among the answered", mean(right[shown]), " of the answerable", mean(right[shown & asked]))
    for risk, at in weights.risks:
        if (sure >= at).any():
            wrong, answered = mean(~right[sure >= at]), (sure >= at)[asked].mean()
            shares = f"answered of the answerable {answered:.3f}"
            print(f"risk {risk}: threshold {at}, wrong among the answered", wrong, shares)
    for name in SETS:
        mine = (names == name) & asked
        shares = f"there {there[mine].mean():.3f}, quoted {right[mine].mean():.3f}, answered {shown[mine].mean():.3f}"
        print(f"  {name}: {shares} (n={mine.sum()})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--write", action="store_true", help="write calibration.json")
    options = parser.parse_args()
    weights = shipped_weights.describe()
    made = cases(options.data, options.work, Reader(shipped_weights.encoder(weights)))
    known, held = ([case for case in made if case.split == split] for split in ("fitted", "held"))
    quotes = fitted_weights(known)
    report(held, quotes)
    print(json.dumps(asdict(quotes)))
    if options.write:
        update("embedded", asdict(quotes), "python -m rag.training.fit_reader DATA WORK --write", reader=weights.digest)


if __name__ == "__main__":
    main()
