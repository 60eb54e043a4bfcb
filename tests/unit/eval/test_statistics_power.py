"""What few clusters could have shown: values worked by hand from the test's least p-values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eval.score import summarise
from eval.statistics.paired import compare_items, line, sign_flip
from eval.statistics.power import detectable_change, detectable_over_clusters, least_p


def _alike(clusters: int) -> float:
    """Standard errors of a change that equal clusters show all on one side with chance 0.8."""
    return float(stats.norm.ppf(0.8 ** (1 / clusters))) * math.sqrt(clusters)


def test_the_least_p_value_is_that_of_clusters_that_all_agree() -> None:
    whole = compare_items(np.zeros(300), np.ones(300), np.repeat(np.arange(5), 60))
    assert whole.p_value == pytest.approx(least_p(5)) == pytest.approx(1 / 16)


def test_five_clusters_see_nothing_however_many_items_they_hold() -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.random((2, 300)) < 0.3).astype(float)
    found = compare_items(a, b, np.repeat(np.arange(5), 60), resamples=0)
    assert math.isinf(found.detectable())
    assert "could have seen nothing over so few clusters" in line(found)
    assert math.isfinite(compare_items(a, b, np.repeat(np.arange(6), 50)).detectable())


def test_a_corrected_level_takes_more_clusters() -> None:
    # Eight clusters: least p 2/2^8 = 0.0078, below 5% but not below 5%/10.
    generator = np.random.default_rng(0)
    a, b = (generator.random((2, 320)) < 0.3).astype(float)
    found = compare_items(a, b, np.repeat(np.arange(8), 40), resamples=0)
    assert math.isfinite(found.detectable(0.05))
    assert math.isinf(found.detectable(0.005))
    assert "could have seen nothing" in line(found, 0.005)


@pytest.mark.parametrize(("clusters", "level"), [(6, 0.05), (8, 0.01)])
def test_power_where_all_clusters_must_agree(clusters: int, level: float) -> None:
    # One p-value is low enough: P(all on one side) = Φ(δ/τ)^G, as the other side is as good as
    # impossible. 0.8 at G = 6: δ = 1.793·τ = 4.391·τ/√6.
    shares = np.full(clusters, 1 / clusters)
    found = detectable_over_clusters(shares, 1.0, level)
    assert found == pytest.approx(_alike(clusters), rel=0.03)
    assert _alike(6) == pytest.approx(4.391, abs=5e-4)


def test_many_clusters_are_as_good_as_students_t() -> None:
    # t of 29 degrees: 2.0452 + 0.8542.
    assert detectable_over_clusters(np.full(30, 1 / 30), 1.0) == pytest.approx(2.8994, abs=2e-4)
    few, more = (detectable_over_clusters(np.full(g, 1 / g), 1.0) for g in (12, 13))
    assert few == pytest.approx(more, rel=0.03)  # the simulated and the closed form meet


def test_no_change_beyond_100_points_is_promised() -> None:
    assert math.isinf(detectable_change(6, 0.2, 0.3, np.full(6, 1 / 6)))
    assert detectable_change(100, 0.2, 0.01, None) < 0.2


def test_one_models_result_does_not_promise_it_either() -> None:
    records = [
        {"index": i, "tokens": 1, "seconds": 0.1, "finish_reason": "stop", "cluster": f"c{i // 60}",
         "verdict": {"status": "correct" if i * 7 % 11 < 5 else "wrong", "acc": 1.0, "pred": "",
                     "detail": ""}}
        for i in range(300)
    ]  # fmt: skip
    assert summarise("m", "p", "f", records)["mde"]["paired"] is None
    alone = [{**record, "cluster": None} for record in records]
    # 2.8016·√(0.2/300) = 7.2 points by the normal approximation, the exact test a little more.
    assert 0.0723 < summarise("m", "p", "f", alone)["mde"]["paired"] < 0.077


def test_power_over_few_clusters_by_simulation() -> None:
    # Ten unequal clusters whose own change varies: the change said to be seen is seen.
    generator = np.random.default_rng(5)
    shares = generator.random(10) + 0.2
    shares /= shares.sum()
    spread = 0.1
    change = detectable_over_clusters(shares, spread * math.sqrt(float(shares @ shares)))
    drawn = (change + spread * generator.standard_normal((1500, 10))) * shares
    seen = np.mean([sign_flip(one, np.arange(10))[0] <= 0.05 for one in np.round(drawn, 3)])
    assert seen == pytest.approx(0.8, abs=0.04)
