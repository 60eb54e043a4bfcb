"""Clustered, weighted and multi-sample accuracies: values worked by hand, and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eval.statistics.intervals import wilson
from eval.statistics.mean import (
    codes,
    mean_t,
    proportion,
    robust_error,
    score_interval,
    stratum_weights,
)

T2 = 4.302652729696142  # Student's t, 0.975, 2 degrees (any table: 4.303)


def test_error_of_independent_items_is_the_textbooks() -> None:
    # 1, 2, 4, 9: mean 4, squares 9 + 4 + 0 + 25 = 38, s² = 38/3, SE = √(38/12).
    error, degrees = robust_error([1, 2, 4, 9])
    assert error == pytest.approx(math.sqrt(38 / 12), rel=1e-12)
    assert degrees == pytest.approx(3)


def test_error_of_equal_clusters_by_hand() -> None:
    # Three clusters of two: means 1, 1/2, 0. The error is that of the three means: √(0.25/3).
    error, degrees = robust_error([1, 1, 1, 0, 0, 0], codes(list("aabbcc")))
    assert error == pytest.approx(math.sqrt(0.25 / 3), rel=1e-12)
    assert degrees == pytest.approx(2)


def test_error_of_unequal_clusters_is_that_of_leaving_each_out() -> None:
    y, names = np.array([1.0, 0, 1, 1, 0, 0, 1]), list("aaabbcc")
    without = [y[[n != out for n in names]].mean() for out in "abc"]
    error, degrees = robust_error(y, codes(names))
    assert error == pytest.approx(
        math.sqrt(2 / 3 * sum((m - y.mean()) ** 2 for m in without)), rel=1e-12
    )
    assert degrees == pytest.approx(49 / (9 + 4 + 4) - 1)


def test_error_of_strata_adds_their_variances() -> None:
    # Cochran: Σ W_h²·s_h²/n_h with W = (0.8, 0.2): s² = 1/3 and 1/4, n = 4 and 4.
    y, strata = [1, 1, 0, 0, 0, 0, 0, 1], np.repeat([0, 1], 4)
    weights = np.repeat([0.8, 0.2], 4)
    error, degrees = robust_error(y, weights=weights, strata=strata)
    assert error == pytest.approx(math.sqrt(0.64 / 12 + 0.04 / 16), rel=1e-12)
    assert degrees == pytest.approx(6)


def test_mean_of_anything_by_hand() -> None:
    found = mean_t([10.0, 12, 14])
    assert found.value == pytest.approx(12)
    assert found.interval.high - 12 == pytest.approx(T2 * 2 / math.sqrt(3), rel=1e-9)
    with pytest.raises(ValueError, match="two clusters"):
        mean_t([1.0, 2.0], codes(["a", "a"]))


def test_errors_agree_with_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), 6)
    y = (generator.random(240) < generator.random(40)[groups]).astype(float)
    one = np.ones((240, 1))
    ours, _ = robust_error(y, groups)
    theirs = sm.OLS(y, one).fit(cov_type="cluster", cov_kwds={"groups": groups}).bse[0]
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert robust_error(y)[0] == pytest.approx(sm.OLS(y, one).fit().bse[0], rel=1e-9)
    interval = sm.stats.DescrStatsW(y).tconfint_mean()
    found = mean_t(y).interval
    assert (found.low, found.high) == pytest.approx(interval, rel=1e-9)


def test_wilson_agrees_with_statsmodels() -> None:
    proportions = pytest.importorskip("statsmodels.stats.proportion")
    for k, n in ((0, 30), (17, 30), (140, 164), (1319, 1319)):
        low, high = proportions.proportion_confint(k, n, method="wilson")
        found = wilson(k, n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_single_binary_answers_get_wilsons_interval() -> None:
    found = proportion([1] * 81 + [0] * 182)
    assert found.method == "wilson"
    assert (found.interval.low, found.interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_score_formula_is_wilsons_at_whole_numbers() -> None:
    z = float(stats.norm.ppf(0.975))
    for k, n in ((0, 7), (3, 7), (250, 500)):
        ours, scipys = score_interval(k / n, n, z), wilson(k, n)
        assert (ours.low, ours.high) == pytest.approx((scipys.low, scipys.high), abs=1e-12)


def test_clusters_that_answer_alike_count_once() -> None:
    # 20 clusters of 10 equal answers, 12 of them right: 20 independent items, with Student's t.
    y = np.repeat([1.0] * 12 + [0.0] * 8, 10)
    found = proportion(y, np.repeat(np.arange(20), 10))
    assert found.method == "wilson-cluster"
    assert found.effective_n == pytest.approx(19)  # p(1-p)/SE² = 20·19/20
    expected = score_interval(0.6, 19, float(stats.t.ppf(0.975, 19)))
    assert found.interval.low == pytest.approx(expected.low, abs=1e-9)
    assert found.interval.high - found.interval.low > 2 * (wilson(120, 200).high - 0.6)


def test_all_right_is_not_certain() -> None:
    found = proportion(np.ones(80), np.repeat(np.arange(8), 10))
    assert found.effective_n == pytest.approx(8)
    assert found.interval.low < wilson(8, 8).low + 1e-12  # t is wider than the normal quantile
    assert found.interval.high == 1.0


def test_several_samples_never_count_as_more_than_their_number() -> None:
    nearly = np.array([0.25, 0.75] + [0.5] * 28)  # p(1-p)/SE² would be 1740
    assert proportion(nearly, draws=120).effective_n == 120
    assert proportion(nearly, draws=120).method == "wilson-cluster"
    assert proportion(np.full(30, 0.5), draws=120).effective_n == pytest.approx(30)  # no spread


def test_weights_undo_an_unequal_sample() -> None:
    # 10 of 900 easy rows (9 right) and 10 of 100 hard ones (1 right): 0.9·0.9 + 0.1·0.1 = 0.82.
    strata = ["easy"] * 10 + ["hard"] * 10
    weights = stratum_weights(strata, {"easy": 900, "hard": 100})
    assert weights is not None
    y = [1] * 9 + [0] + [1] + [0] * 9
    found = proportion(y, weights=weights, strata=codes(strata))
    assert found.value == pytest.approx(0.82)
    assert found.interval.low < 0.82 < found.interval.high
    # Var = 0.81·0.1/10·10/9·… : Σ W²·s²/n, s² = 0.1 in both strata, n = 10.
    assert found.standard_error == pytest.approx(math.sqrt((0.81 + 0.01) * 0.1 / 10), rel=1e-9)


def test_weights_are_left_out_where_they_would_not_hold() -> None:
    assert stratum_weights(["a"] * 9 + ["b"], {"a": 899, "b": 101}) is None  # fair already
    assert stratum_weights(["a", "a"], {"a": 5, "b": 5}) is None  # b was not sampled


def test_each_item_without_a_name_is_its_own_cluster() -> None:
    assert codes([None, "x", None, "x", "y"]).tolist() == [0, 1, 2, 1, 3]


@pytest.mark.parametrize("values", [[], [0.5, 1.2], [-0.1]])
def test_impossible_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError):
        proportion(values)
