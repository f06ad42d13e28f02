"""Fits how the embedded generator chooses and how sure it is; writes a folder of shipped weights from a training run.

    python bench/fit_reader.py DATA WORK RUN/model OUT

Questions of DATA/qa/dev are put to collections of PASSAGES passages of their set (kept in WORK), their own among them. Half of
the passages, by hash, are fitted on; every figure that is printed is of the other half. Kinds of question: answerable;
marked as unanswerable (near misses); its own passage taken out; asked of another set's collection (off-topic).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from tqdm import tqdm

from indexing.build import build
from models import shipped
from models.metrics import area_under_roc, calibration_error, mean
from models.qa import QaRow, read_qa
from models.reader import Finding, Reader
from rag import context
from rag.generators.embedded import choice_features, confidence_features, read
from rag.pipeline import RagPipeline
from rag.types import Evidence

SETS = ("squad2_dev", "squad11_dev_rest", "qed_nq", "policyqa", "covidqa", "fairytaleqa", "wtq", "tatqa")
PASSAGES = 400
QUESTIONS = 120  # of each set and kind


@dataclass(frozen=True, slots=True)
class Case:
    """A question, what was read for it, and which findings are right: in its own passage and overlapping an answer."""

    name: str
    kind: str
    fitted: bool
    evidence: Sequence[Evidence]
    findings: Sequence[Finding]
    right: np.ndarray  # (n,) bool


def key(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def collection(data: Path, work: Path, name: str) -> Path:
    """An index of the set's development passages and as many of training as make PASSAGES."""
    rows = {split: read_qa(data / "qa" / split / f"{name}.jsonl.gz") for split in ("dev", "train")}
    texts = {key(row.context): row for row in rows["dev"]}
    others = {key(row.context): row for row in rows["train"] if key(row.context) not in texts}
    texts |= {id: others[id] for id in random.Random(0).sample(sorted(others), min(len(others), max(0, PASSAGES - len(texts))))}
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"_id": id, "title": row.title, "text": row.context}) + "\n" for id, row in sorted(texts.items())]
    (folder / "corpus.jsonl").write_text("".join(lines))
    build([folder / "corpus.jsonl"], folder / "index")
    return folder / "index"


def is_right(row: QaRow, piece: Evidence, finding: Finding) -> bool:
    said = " ".join(piece.text[finding.start : finding.end].lower().split())
    answers = [" ".join(answer.text.lower().split()) for answer in row.answers if answer.text.strip()]
    return piece.document.endswith(key(row.context)) and bool(said) and any(answer in said or said in answer for answer in answers)


def cases(data: Path, work: Path, reader: Reader) -> list[Case]:
    made = []
    indexes = {name: RagPipeline.from_index(collection(data, work, name), generator="quote") for name in SETS}
    for at, name in enumerate(SETS):
        rows = [row for row in read_qa(data / "qa" / "dev" / f"{name}.jsonl.gz") if len(row.question) < 300]
        random.Random(1).shuffle(rows)
        plain = [row for row in rows if row.span and row.kind in ("extractive", "table")][:QUESTIONS]
        marked = [row for row in rows if row.unanswerable][:QUESTIONS]
        kinds = (("answerable", plain, name), ("removed", plain[: QUESTIONS // 2], name), ("marked", marked, name),
                 ("elsewhere", plain[: QUESTIONS // 3], SETS[(at + 3) % len(SETS)]))
        for kind, chosen, asked in kinds:
            rag = indexes[asked]
            for row in tqdm(chosen, desc=f"{name} {kind}", mininterval=20):
                found = rag.search(row.question, rag.config.top_k)
                evidence = context.pack(found, rag.config.context_tokens, rag.reader).evidence
                if kind == "removed":
                    evidence = tuple(piece for piece in evidence if not piece.document.endswith(key(row.context)))
                findings = read(reader, row.question, evidence)
                right = np.array([kind == "answerable" and is_right(row, *pair) for pair in zip(evidence, findings, strict=True)], bool)
                if evidence:
                    made.append(Case(name, kind, int(key(row.context)[:2], 16) % 2 == 0, evidence, findings, right))
    return made


def fit_choice(chosen: list[Case]) -> np.ndarray:
    """Weights that make the right findings of each question win a softmax over all of its findings."""
    judged = [(choice_features(case.findings, case.evidence), case.right) for case in chosen if case.right.any() and not case.right.all()]

    def cost(weights: np.ndarray) -> float:
        total = 0.01 * float(weights @ weights)
        for features, right in judged:
            scores = features @ weights
            total += float(np.logaddexp.reduce(scores) - np.logaddexp.reduce(scores[right]))
        return total

    return minimize(cost, np.array([0.5, 0.5, 0.5, 1.0]), method="L-BFGS-B").x


def shown(case: Case, choice: np.ndarray) -> tuple[list[float], bool]:
    """CONFIDENCE_FEATURES of what is answered, and whether it is right."""
    scores = choice_features(case.findings, case.evidence) @ choice
    best = int(np.argmax(scores))
    return confidence_features(case.findings, case.evidence, scores, best), bool(case.right[best])


def fit(made: list[Case]) -> dict[str, object]:
    fitted = [case for case in made if case.fitted]
    choice = fit_choice(fitted)
    rows, right = zip(*(shown(case, choice) for case in fitted), strict=True)
    features = np.array(rows)
    spread = features.std(0) + 1e-9
    regression = LogisticRegression(C=1.0, max_iter=1000).fit(features / spread, right)
    weights, bias = regression.coef_[0] / spread, float(regression.intercept_[0])
    sure = regression.predict_proba(features / spread)[:, 1]
    there = np.array([case.kind == "answerable" and bool(case.right.any()) for case in fitted])
    grid = np.arange(0.05, 0.9, 0.01)
    threshold = float(grid[np.argmax([balanced_accuracy_score(there, sure >= at) for at in grid])])
    return {
        "choice": [round(float(value), 5) for value in choice], "confidence": [round(float(value), 5) for value in weights],
        "bias": round(bias, 5), "threshold": round(threshold, 2),
    }


def report(made: list[Case], calibration: dict) -> None:
    held = [case for case in made if not case.fitted]
    choice = np.array(calibration["choice"])
    seen = [shown(case, choice) for case in held]
    sure = 1 / (1 + np.exp(-(np.array([row for row, _ in seen]) @ np.array(calibration["confidence"]) + calibration["bias"])))
    right = np.array([mark for _, mark in seen])
    kinds = np.array([case.kind for case in held])
    there = np.array([bool(case.right.any()) for case in held])
    print("right finding among the read", mean(there[kinds == "answerable"]))
    print("chosen, where it is there", mean(right[(kinds == "answerable") & there]))
    print("AUROC, right against not", area_under_roc(sure, right), " ECE", calibration_error(sure, right))
    for kind in ("removed", "marked", "elsewhere"):
        pick = (kinds == kind) | (kinds == "answerable")
        print(f"AUROC, answerable against {kind}", area_under_roc(sure[pick], (kinds == "answerable")[pick]))
    answered = sure >= calibration["threshold"]
    for kind in ("answerable", "removed", "marked", "elsewhere"):
        print(f"abstains on {kind}", mean(~answered[kinds == kind]))
    print("right, of what is answered", mean(right[answered]))
    for name in SETS:
        mine = np.array([case.name == name for case in held]) & (kinds == "answerable")
        print(f"  {name}: there {there[mine].mean():.3f}, right {right[mine].mean():.3f}, answered {answered[mine].mean():.3f} (n={mine.sum()})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("data", "work", "model", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    state = load_file(options.model / "model.safetensors")
    shipped.save(state, options.out, {})
    made = cases(options.data, options.work, Reader(shipped.compute(shipped.describe(options.out))))
    calibration = fit(made)
    shipped.save(state, options.out, calibration)
    print(json.dumps(calibration))
    report(made, calibration)


if __name__ == "__main__":
    main()
