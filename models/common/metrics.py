"""The numbers of an evaluation, each with n and a 95% interval. Knows no files and no pipeline.

An undefined number (nothing to measure) is None, never 0 and never a crash. Intervals are percentile bootstraps over
questions with a fixed seed (Efron and Tibshirani, 1993), so that the same run prints the same figures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.common.torchvision_ops import ensure_operators

RESAMPLES = 1000
BINS = 15
GUESSED = 3  # words, as most answers of the question sets have at most
CORRECT = 0.5  # from this F1 on an answer counts as correct, where a metric needs a yes or no


@dataclass(frozen=True, slots=True)
class Score:
    """A number measured on n things; `low` and `high` bound its 95% interval."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined (n={self.n})"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] (n={self.n})"


def score(statistic: Callable[..., float], *columns: Sequence[float], n: int | None = None) -> Score:
    """`statistic` of the columns (one row per question), NaN where it is undefined. `n` defaults to the rows."""
    data = [np.asarray(column, dtype=np.float64) for column in columns]
    rows = len(data[0])
    value = statistic(*data) if rows else math.nan
    n = rows if n is None else n
    if math.isnan(value):
        return Score(None, None, None, n)
    rng = np.random.default_rng(0)
    picks = (rng.integers(0, rows, rows) for _ in range(RESAMPLES))
    samples = [statistic(*(column[pick] for column in data)) for pick in picks]
    low, high = np.nanpercentile([*samples, value], [2.5, 97.5])
    return Score(float(value), float(low), float(high), n)


def mean(values: Sequence[float]) -> Score:
    return score(np.mean, values)


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Score:
    """sum(parts) / sum(wholes); n is the sum of the wholes."""
    return score(_ratio, parts, wholes, n=int(sum(wholes)))


@dataclass(frozen=True, slots=True)
class Detection:
    precision: Score
    recall: Score
    f1: Score


def abstention(abstained: Sequence[bool], unanswerable: Sequence[bool]) -> Detection:
    """The positive class is to abstain on an unanswerable question. n is the number of questions."""
    n = len(abstained)

    def over(weight: float, false_positive: float, false_negative: float) -> Score:
        hits = [weight * (a and u) for a, u in zip(abstained, unanswerable, strict=True)]
        misses = [
            false_positive * (a and not u) + false_negative * (u and not a)
            for a, u in zip(abstained, unanswerable, strict=True)
        ]
        return score(_ratio, hits, np.add(hits, misses), n=n)

    return Detection(precision=over(1, 1, 0), recall=over(1, 0, 1), f1=over(2, 1, 1))


def squad(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """(exact match, F1) in 0..1 against the best of the answers, normalised as SQuAD does (arXiv 1606.05250)."""
    ensure_operators()
    from torchmetrics.functional.text import squad as torchmetrics_squad

    result = torchmetrics_squad(
        [{"prediction_text": prediction, "id": "0"}],
        [{"answers": {"text": list(answers), "answer_start": [0] * len(answers)}, "id": "0"}],
    )
    return result["exact_match"].item() / 100, result["f1"].item() / 100


def at_random(context: str, answers: Sequence[str]) -> tuple[float, float]:
    """`squad` of GUESSED neighbouring words of the context, drawn with the context as seed: the score of chance."""
    words = context.split()
    first = random.Random(context).randrange(max(1, len(words) - GUESSED + 1))
    return squad(" ".join(words[first : first + GUESSED]), answers)


def risk_coverage(confidence: Sequence[float], losses: Sequence[float]) -> Score:
    """Area under the risk-coverage curve (Geifman and El-Yaniv, arXiv 1705.08500): the mean risk over all coverages.

    Lower is better. Answers of equal confidence are in no order, so each stands for the mean loss of them all.
    """
    return score(_area, confidence, losses)


def area_under_roc(scores: Sequence[float], positive: Sequence[bool]) -> Score:
    """The chance that a positive outscores a negative; undefined where there is only one kind."""
    return score(_auroc, scores, positive)


def calibration_error(confidence: Sequence[float], correct: Sequence[bool]) -> Score:
    """Expected calibration error, 15 bins of equal width (Guo et al., arXiv 1706.04599)."""
    return score(_calibration_error, confidence, correct)


@dataclass(frozen=True, slots=True)
class Ranking:
    ndcg_10: Score
    recall_10: Score
    recall_100: Score
    mrr: Score


def ranking(relevant: Mapping[str, Mapping[str, int]], ranked: Mapping[str, Sequence[str]]) -> Ranking:
    """trec_eval's figures over the queries that have a relevant document. `ranked` holds documents, best first.

    A query without results counts as 0.
    """
    from pytrec_eval import RelevanceEvaluator

    judged = {query: dict(grades) for query, grades in relevant.items() if any(grade > 0 for grade in grades.values())}
    run = {query: {name: -float(rank) for rank, name in enumerate(ranked.get(query, ()))} for query in judged}
    results = RelevanceEvaluator(judged, {"ndcg_cut.10", "recall.10,100", "recip_rank"}).evaluate(run) if judged else {}

    def column(measure: str) -> Score:
        return mean([results[query][measure] for query in judged])

    return Ranking(column("ndcg_cut_10"), column("recall_10"), column("recall_100"), column("recip_rank"))


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> float:
    total = wholes.sum()
    return float(parts.sum() / total) if total else math.nan


def _auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Mann and Whitney's U: by ranks, of which equal scores share the mean."""
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    yes, no = positive.sum(), len(positive) - positive.sum()
    return float((ranks @ positive - yes * (yes + 1) / 2) / (yes * no)) if yes and no else math.nan


def _area(confidence: np.ndarray, losses: np.ndarray) -> float:
    _, group = np.unique(-confidence, return_inverse=True)  # groups of equal confidence, the most confident first
    sizes = np.bincount(group)
    expected = np.repeat(np.bincount(group, weights=losses) / sizes, sizes)
    return float(np.mean(np.cumsum(expected) / np.arange(1, len(expected) + 1)))


def _calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    ensure_operators()
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    return binary_calibration_error(torch.from_numpy(confidence), torch.from_numpy(correct).long(), n_bins=BINS).item()
