import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.common.metrics import (
    Score,
    abstention,
    area_under_roc,
    calibration_error,
    mean,
    ranking,
    ratio,
    risk_coverage,
    squad,
)

# what is undefined is not computed
pytestmark = pytest.mark.filterwarnings("error:invalid value", "error:Mean of empty slice")

UNDEFINED = (None, None, None)


def bounds(score: Score) -> tuple:
    return score.value, score.low, score.high


def test_mean_has_an_interval() -> None:
    values = [0.0, 1.0] * 50
    score = mean(values)
    assert score.value == 0.5
    # The standard error is 0.05, so the interval is about 0.5 +- 0.098.
    assert score.low == pytest.approx(0.402, abs=0.02) and score.high == pytest.approx(0.598, abs=0.02)
    assert score.n == 100
    assert mean(values) == score


def test_degenerate_means() -> None:
    assert mean([]) == Score(None, None, None, 0)
    assert mean([0.25]) == Score(0.25, 0.25, 0.25, 1)
    assert mean([1.0] * 9) == Score(1.0, 1.0, 1.0, 9)
    assert "undefined" in str(mean([])) and str(mean([1.0])) == "1.0000 [1.0000, 1.0000] (n=1)"


def test_ratio_pools_the_counts() -> None:
    assert (ratio([1, 0], [1, 3]).value, ratio([1, 0], [1, 3]).n) == (0.25, 4)
    assert ratio([], []) == Score(None, None, None, 0)
    assert bounds(ratio([0], [0])) == UNDEFINED


def test_abstention_by_hand() -> None:
    # abstained on u, u, a; answered u, a, a: two hits, one false alarm, one miss.
    found = abstention([True, True, True, False, False, False], [True, True, False, True, False, False])
    assert (found.precision.value, found.recall.value) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (found.f1.value, found.f1.n) == (pytest.approx(2 / 3), 6)
    found = abstention([True, True, False], [True, False, False])
    assert (found.precision.value, found.recall.value, found.f1.value) == (0.5, 1.0, pytest.approx(2 / 3))


def test_abstention_where_there_is_none() -> None:
    nothing = abstention([False, False], [False, False])
    assert bounds(nothing.f1) == bounds(nothing.precision) == bounds(nothing.recall) == UNDEFINED
    assert abstention([True], [False]).f1.value == 0.0
    assert abstention([False], [True]).f1.value == 0.0
    assert bounds(abstention([], []).f1) == UNDEFINED
    everything = abstention([True] * 3, [True] * 3)
    assert bounds(everything.f1) == (1.0, 1.0, 1.0)


def test_squad_by_hand() -> None:
    assert squad("The 28 Degrees!", ["28 degrees"]) == (1.0, 1.0)
    exact, f1 = squad("It is 28 degrees", ["nothing", "28 degrees"])
    assert (exact, f1) == (0.0, pytest.approx(2 / 3))  # precision 2/4, recall 2/2
    assert squad("", ["28"]) == (0.0, 0.0)


def test_risk_coverage_by_hand() -> None:
    # By confidence: losses 0, 1, 0 -> risks 0, 1/2, 1/3.
    assert risk_coverage([0.9, 0.1, 0.5], [0.0, 0.0, 1.0]).value == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    # Equal confidences say nothing: every coverage has the mean risk.
    assert risk_coverage([0.5, 0.5, 0.5], [1.0, 0.0, 0.5]).value == pytest.approx(0.5)
    assert bounds(risk_coverage([], [])) == UNDEFINED


@settings(max_examples=20, deadline=None)  # each example is a thousand resamples
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.3, 1.0]), st.floats(0, 1)), min_size=1, max_size=8))
def test_risk_coverage_does_not_depend_on_the_order(pairs: list[tuple[float, float]]) -> None:
    def area(pairs: list[tuple[float, float]]) -> float:
        return risk_coverage([c for c, _ in pairs], [loss for _, loss in pairs]).value

    assert area(pairs) == pytest.approx(area(pairs[::-1]))
    assert min(loss for _, loss in pairs) - 1e-9 <= area(pairs) <= max(loss for _, loss in pairs) + 1e-9


def test_calibration_error_by_hand() -> None:
    # One bin holds 0.81 and 0.85: accuracy 1/2, confidence 0.83; another holds 0.1: accuracy 0.
    assert calibration_error([0.81, 0.85, 0.1], [True, False, False]).value == pytest.approx((2 * 0.33 + 0.1) / 3)
    assert calibration_error([0.9, 0.6], [True, False]).value == pytest.approx((0.1 + 0.6) / 2)
    assert calibration_error([1.0, 0.0], [True, False]).value == 0.0
    assert bounds(calibration_error([], [])) == UNDEFINED


def test_area_under_roc_by_hand() -> None:
    # Of the pairs 0.9-0.5, 0.9-0.1, 0.3-0.5, 0.3-0.1 three are in order; a tie is half a pair.
    assert area_under_roc([0.9, 0.5, 0.3, 0.1], [True, False, True, False]).value == pytest.approx(3 / 4)
    assert area_under_roc([0.9, 0.5, 0.5, 0.1], [True, False, True, False]).value == pytest.approx(3.5 / 4)
    assert bounds(area_under_roc([5.0, -3.0], [True, False])) == (1.0, 1.0, 1.0)  # resamples of one kind are left out
    assert area_under_roc([-3.0, 5.0], [True, False]).value == 0.0


def test_area_under_roc_is_that_of_the_curve() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    for ties in (3, 1000):
        scores, positive = rng.integers(0, ties, 200) / ties, rng.random(200) < 0.3
        assert area_under_roc(scores, positive).value == pytest.approx(roc_auc_score(positive, scores))
    assert area_under_roc([math.inf, 0.0, -math.inf], [True, False, False]).value == 1.0


@pytest.mark.parametrize("positive", [[], [True], [False, False], [True, True, True]])
def test_area_under_roc_of_one_kind(positive: list[bool]) -> None:
    found = area_under_roc([0.5] * len(positive), positive)
    assert bounds(found) == UNDEFINED and found.n == len(positive)


def test_ranking_by_hand() -> None:
    found = ranking({"q": {"a": 1, "b": 1}, "r": {"c": 1}, "none": {"d": 0}}, {"q": ["x", "a"], "none": ["d"]})
    gain = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    assert found.ndcg_10.value == pytest.approx(gain / 2)
    assert (found.recall_10.value, found.mrr.value, found.mrr.n) == (0.25, 0.25, 2)


def test_ranking_keeps_the_order_it_was_given() -> None:
    names = [f"d{number}" for number in range(150)]
    found = ranking({"q": {names[10]: 1, names[99]: 1, names[100]: 1}}, {"q": names})
    assert found.mrr.value == pytest.approx(1 / 11)
    assert (found.recall_10.value, found.recall_100.value) == (0.0, pytest.approx(2 / 3))


def test_ranking_of_nothing() -> None:
    assert bounds(ranking({}, {}).ndcg_10) == UNDEFINED
    assert bounds(ranking({"q": {"d": 0}}, {"q": ["d"]}).mrr) == UNDEFINED
    assert ranking({"q": {"d": 1}}, {}).mrr.value == 0.0
