"""pass@k, maj@k and the cluster bootstrap: brute force, values by hand, known distributions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from eval.statistics.families import correct
from eval.statistics.intervals import wilson
from eval.statistics.mean import robust_error
from eval.statistics.samples import bootstrap_interval, maj_at_k, pass_at_k, spread_interval


def test_pass_at_k_by_hand() -> None:
    # Chen et al.: n = 5, c = 2, k = 2: 1 − C(3,2)/C(5,2) = 1 − 3/10.
    assert pass_at_k([2], [5], 2).tolist() == pytest.approx([0.7])
    assert pass_at_k([0, 1, 4, 5], [5, 5, 5, 5], 5).tolist() == [0.0, 1.0, 1.0, 1.0]
    assert pass_at_k([3], [8], 1).tolist() == pytest.approx([3 / 8])
    assert pass_at_k([1], [200], 100).tolist() == pytest.approx([0.5])


def test_pass_at_k_is_the_mean_over_all_subsets() -> None:
    for n in range(1, 8):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            right = [i < c for i in range(n)]
            subsets = list(itertools.combinations(right, k))
            expected = sum(map(any, subsets)) / len(subsets)
            assert float(pass_at_k([c], [n], k)[0]) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_is_unbiased_where_the_plug_in_is_not() -> None:
    # Of a model with p = 0.1 and n = 10 samples, pass@5 is 1 − 0.9⁵ = 0.40951.
    counts = np.arange(11)
    chance = np.array([math.comb(10, int(c)) * 0.1**c * 0.9 ** (10 - c) for c in counts])
    assert chance @ pass_at_k(counts, [10] * 11, 5) == pytest.approx(1 - 0.9**5, abs=1e-12)
    assert chance @ (1 - (1 - counts / 10) ** 5) < 0.38


@pytest.mark.parametrize(("c", "n", "k"), [(1, 4, 5), (1, 4, 0), (5, 4, 2)])
def test_impossible_pass_at_k_is_refused(c: int, n: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k"):
        pass_at_k([c], [n], k)


@pytest.mark.parametrize(
    ("answers", "right", "k", "expected"),
    [
        (["4", "4", "5"], [1, 1, 0], 3, 1.0),
        (["4", "5", "5"], [1, 0, 0], 3, 0.0),
        (["1/2", "0.5", "3", "3"], [1, 1, 0, 0], 4, 0.5),  # both right ones are one answer: a tie
        (["", "", "7"], [0, 0, 1], 3, 1.0),  # no answer, no vote
        (["", ""], [0, 0], 2, 0.0),
        (["1", "2", "3"], [1, 0, 0], 3, 1 / 3),
        (["9"], [1], 1, 1.0),
    ],
)
def test_majority_by_hand(answers: list[str], right: list[float], k: int, expected: float) -> None:
    found = maj_at_k(answers, right, k, np.random.default_rng(0))
    assert found == pytest.approx(expected)


def test_majority_of_a_part_is_the_mean_over_subsets() -> None:
    answers, right = ["r", "r", "a", "b"], [1, 1, 0, 0]
    # Subsets of 2: {r,r} 1, {a,b} 0, the other four tie: (1 + 4/2)/6 = 1/2.
    found = maj_at_k(answers, right, 2, np.random.default_rng(0))
    assert found == pytest.approx(0.5, abs=0.06)
    assert found == maj_at_k(answers, right, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="maj@k"):
        maj_at_k(answers, right, 5, np.random.default_rng(0))


def test_bootstrap_is_near_the_normal_interval_where_that_holds() -> None:
    y = np.random.default_rng(1).random(500)
    found, error = bootstrap_interval(y, seed=1), robust_error(y)[0]
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.04)
    assert found.low == pytest.approx(y.mean() - 1.96 * error, abs=0.1 * error)


def test_bootstrap_draws_clusters_whole() -> None:
    y = np.repeat(np.random.default_rng(2).integers(0, 2, 50), 20).astype(float)
    groups = np.repeat(np.arange(50), 20)
    whole, apart = bootstrap_interval(y, groups, seed=1), bootstrap_interval(y, seed=1)
    assert (whole.high - whole.low) / (apart.high - apart.low) == pytest.approx(20**0.5, rel=0.1)


def test_bootstrap_is_wider_for_few_clusters() -> None:
    # Hesterberg: a plain percentile interval of 5 values misses √(4/5) and t: 1.96·0.894 = 1.75
    # standard errors against t₄ = 2.78.
    y = np.array([0.0, 1, 2, 3, 4])
    found, error = bootstrap_interval(y, seed=1), robust_error(y)[0]
    assert found.high - found.low > 2 * 1.96 * error
    with pytest.raises(ValueError, match="two clusters"):
        bootstrap_interval([1.0, 0.0], np.array([0, 0]), seed=1)


def test_bootstrap_is_the_seeds_own() -> None:
    y = np.random.default_rng(4).random(40)
    assert bootstrap_interval(y, seed=7) == bootstrap_interval(y, seed=7)
    assert bootstrap_interval(y, seed=7) != bootstrap_interval(y, seed=8)


def test_no_spread_is_not_certainty() -> None:
    found, method = spread_interval(np.zeros(30), seed=1)
    assert method == "wilson-clusters"
    assert (found.low, found.high) == pytest.approx((0.0, wilson(0, 30).high), abs=1e-12)
    assert spread_interval(np.array([0.0, 1, 1]), seed=1)[1] == "cluster-bootstrap"


def test_false_discovery_by_hand() -> None:
    # Benjamini-Hochberg: p·m/rank, then the running minimum from the right.
    found = correct([0.01, 0.04, 0.03, 0.2])
    assert [one.p_adjusted for one in found] == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.2])
    assert correct([0.03])[0].p_adjusted == pytest.approx(0.03)
    assert correct([0.03])[0].level == pytest.approx(0.05)
    assert correct([]) == []


def test_the_level_is_where_the_verdict_turns() -> None:
    generator = np.random.default_rng(5)
    for _ in range(200):
        p = (generator.random(6) ** 3).tolist()
        for position, one in enumerate(correct(p)):
            assert (p[position] <= one.level) == (one.p_adjusted <= 0.05)
            for factor, verdict in ((0.999, True), (1.001, False)):
                moved = [*p]
                moved[position] = one.level * factor
                assert (correct(moved)[position].p_adjusted <= 0.05) is verdict


def test_false_discovery_agrees_with_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(6).random(12) ** 2
    theirs = multitest.multipletests(p, method="fdr_bh")[1]
    assert [one.p_adjusted for one in correct(p.tolist())] == pytest.approx(theirs, rel=1e-12)
