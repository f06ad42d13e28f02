"""Fits the choice of a sentence and its confidence, and ships a trained reader with both.

    python -m rag.training.fit_reader DATA WORK RUN/model OUT [--open L]

In: a data folder and a model of models.training.train. Out: a folder of shipped weights. Questions of DATA/qa/dev, on
which the reader was not trained, are put to collections of PASSAGES passages of their set (indexed in WORK), their own
among them, and again to one to three chunks of what was found. Those whose passage has an even hash are fitted on;
every figure that is printed is of the others. Kinds of question: answerable; marked as unanswerable (near misses); with
its own passage removed; asked of the collection of another set (off-topic).

--open: by how much, in log-odds, every token router is opened after its training, see models/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tqdm import tqdm

from indexing.build.run import build
from models.common.metrics import area_under_roc, calibration_error, mean
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.training.question_sets import QaRow, read_qa
from rag import context
from rag.generators.quote import sentence_features
from rag.generators.quote.generator import Attempt, Weights, read
from rag.pipeline import RagPipeline
from rag.training import fit_pictures
from rag.training.fit_quote import Case, answer_rows, correct, few, fit, fit_ranking, key

SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "policyqa", "covidqa", "fairytaleqa", "wtq", "tatqa")
PASSAGES = 400
RISKS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
# least confidence of an answer that is shown: the best one where a wrong answer, shown beside its source, costs a
# quarter of what a right one is worth
WORTH = 0.2
LEAST = 40  # answers above a threshold, for it to be fitted
ROUTERS = "memory.routers."
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


def attempt(rag: RagPipeline, row: QaRow, reader: Reader, *, without_own: bool) -> Attempt:
    found = rag.search(row.question, rag.config.top_k)
    if without_own:
        found = tuple(piece for piece in found if not piece.document.endswith(key(row.context)))
    packed = context.pack(found, rag.config.context_tokens, rag.reader)
    tried = read(row.question, packed, rag.embedder, rag.reader, reader)
    return replace(tried, windows=[], heads=[])  # states are large, and nothing here asks a decoder


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


def fitted_weights(chosen: list[Case]) -> Weights:
    """Weights of all cases, and thresholds by cross-validation: on their own cases confidences are too high."""
    folds = [[case for case in chosen if fold(case) == number] for number in range(FOLDS)]
    tried = [confidences([case for case in chosen if fold(case) != number], folds[number]) for number in range(FOLDS)]
    risks = fit_risks(*(np.concatenate(values) for values in zip(*tried, strict=True)))
    sentence, slopes, bias = slopes_of(chosen)
    return Weights(tuple(np.round(sentence, 4).tolist()), tuple(np.round(slopes, 4).tolist()), round(bias, 4), WORTH, risks)


def slopes_of(chosen: list[Case]) -> tuple[np.ndarray, np.ndarray, float]:
    sentence = fit_ranking([case for case in chosen if case.kind == "answerable" and case.correct.any()])
    return sentence, *fit(*answer_rows(chosen, sentence))


def confidences(fitted_on: list[Case], asked: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """(whether the quote is right, its confidence) of each case asked."""
    sentence, slopes, bias = slopes_of(fitted_on)
    rows, right = answer_rows(asked, sentence)
    return right, sentence_features.probability(rows, slopes, bias)


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


def report(held: list[Case], weights: Weights) -> None:
    rows, right = answer_rows(held, np.array(weights.sentence))
    sure = sentence_features.probability(rows, weights.answer, weights.bias)
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
    for name in ("data", "work", "model", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--open", type=float, default=0.0)
    options = parser.parse_args()
    state = load_file(options.model / "model.safetensors")
    biases = [name for name in state if name.startswith(ROUTERS) and name.endswith(".bias")]
    state |= {name: np.asarray(state[name] + options.open) for name in biases}
    model = json.loads((options.model / "config.json").read_text())
    shipped_weights.save(state, model, options.out, {})  # the graph that is read with; what is fitted to it comes after
    reader = Reader(shipped_weights.encoder(shipped_weights.describe(options.out)))
    made = cases(options.data, options.work, reader)
    known, held = ([case for case in made if case.split == split] for split in ("fitted", "held"))
    weights = fitted_weights(known)
    report(held, weights)
    pictured = fit_pictures.cases(options.data, options.work, reader)
    weights = replace(weights, **dict(zip(("shown", "shown_bias"), fit_pictures.fitted(pictured), strict=True)))
    fit_pictures.report(pictured, weights.shown, weights.shown_bias)
    shipped_weights.save(state, model, options.out, asdict(weights))
    print(json.dumps(asdict(weights)))


if __name__ == "__main__":
    main()
