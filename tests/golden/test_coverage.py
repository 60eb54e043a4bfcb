"""Do the intervals cover, and do verdicts err, as often as they say? By simulation and exactly.

1. Nominal 95% intervals over the grid n × p: the mean over p is 94-96% for each n and no cell is
   below 92%; each cell equals the exact binomial coverage within simulation error.
2. Equal models are called improved at most 5% of the time: alone, over several tasks with a control
   arm that shares the base, and where items cluster.
3. Real changes are found as often as the computed power says.
4. Where items cluster, the central-limit interval and McNemar's test fail; ours hold. The same for
   several samples an item. The bounds are those of 1, mean 94-96% and no cell below 92%, but for
   30 clusters (or items of several samples) and the shares nearest to 0 and 1: there single cells
   fall to 89-91% (p = 0.95; 30 items of 8 samples at p = 0.95 the lowest) and the mean of the row
   to 93.6% (30 clusters of 1 to 15 items) and 93.8% (30 items of 8 samples). Few clusters hold the
   wrong answers there, so that a sample without one of them has a high mean and a small error at
   once: mean and error are not independent, which no t quantile mends. At 100 clusters or more the
   bounds hold everywhere.

Seeds are fixed. The long versions are marked `full`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from eval.statistics.families import correct
from eval.statistics.intervals import (
    mcnemar_exact,
    mcnemar_power,
    minimum_detectable_effect,
    wilson,
)
from eval.statistics.mean import proportion
from eval.statistics.paired import Change, compare_items

SIZES = (30, 100, 164, 500, 1319)
SHARES = np.round(np.arange(0.05, 0.951, 0.05), 2)
GRID = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)  # of the simulations with clusters
Z = 1.959963984540054


@cache
def _limits(n: int) -> tuple[np.ndarray, np.ndarray]:
    found = [wilson(k, n) for k in range(n + 1)]
    return np.array([one.low for one in found]), np.array([one.high for one in found])


def _exact(n: int, p: float) -> float:
    low, high = _limits(n)
    inside = (low <= p) & (p <= high)
    return float(stats.binom.pmf(np.arange(n + 1), n, p)[inside].sum())


@pytest.mark.parametrize("n", SIZES)
def test_coverage_of_nominal_95_percent(n: int) -> None:
    runs = 40_000
    low, high = _limits(n)
    generator = np.random.default_rng(n)
    cells = []
    for p in SHARES:
        k = generator.binomial(n, p, runs)
        seen = float(np.mean((low[k] <= p) & (p <= high[k])))
        exact = _exact(n, p)
        # 95 cells: 4 standard errors are passed by chance once in 170 runs of all of them.
        assert abs(seen - exact) <= 4 * np.sqrt(exact * (1 - exact) / runs)
        cells.append(seen)
    assert 0.94 <= np.mean(cells) <= 0.96
    assert min(cells) >= 0.92


def test_exact_coverage_of_the_whole_grid() -> None:
    table = np.array([[_exact(n, p) for p in SHARES] for n in SIZES])
    assert table.min() == pytest.approx(0.9298, abs=5e-5)  # n = 30, p = 0.3 and 0.7
    assert table.mean(axis=1) == pytest.approx([0.9539, 0.9456, 0.9491, 0.9493, 0.9504], abs=5e-5)


def test_a_central_limit_interval_would_not_pass() -> None:
    # Bowyer et al. 2025: at n = 30, p = 0.9 it covers 0.81, Wilson 0.97.
    k = np.arange(31)
    half = Z * np.sqrt(k / 30 * (1 - k / 30) / 30)
    inside = (k / 30 - half <= 0.9) & (k / 30 + half >= 0.9)
    assert stats.binom.pmf(k, 30, 0.9)[inside].sum() == pytest.approx(0.81, abs=0.005)
    assert _exact(30, 0.9) == pytest.approx(0.97, abs=0.005)


@cache
def _p(lost: int, gained: int) -> float:
    return mcnemar_exact(lost, gained)


def _tests(
    n: int, discordance: float, difference: float, runs: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """p-values and signs of comparisons of two models."""
    chances = [(discordance - difference) / 2, (discordance + difference) / 2, 1 - discordance]
    cells = generator.multinomial(n, chances, size=runs)[:, :2]
    p = np.array([_p(*sorted(cell)) for cell in cells.tolist()])
    return p, np.sign(cells[:, 1] - cells[:, 0])


@pytest.mark.parametrize("n", SIZES)
def test_equal_models_are_seldom_called_improved(n: int) -> None:
    generator = np.random.default_rng(n + 1)
    runs = 2000
    for discordance in (0.1, 0.4):
        p, sign = _tests(n, discordance, 0.0, runs, generator)
        improved = float(np.mean((p <= 0.05) & (sign > 0)))
        exact = mcnemar_power(n, discordance, 0.0) / 2
        assert exact <= 0.025
        assert abs(improved - exact) <= 4 * np.sqrt(0.025 / runs)


def test_equal_models_over_tasks_and_a_control_arm_are_seldom_called_improved() -> None:
    # Three models of equal skill on three tasks, all pairs tested: 9 tests that share answers.
    generator = np.random.default_rng(11)
    runs, wrong, plain = 800, 0, 0
    for _ in range(runs):
        p, signs = [], []
        for n in (164, 500, 541):
            skill = generator.beta(0.8, 0.8, n)
            start, tuned, control = (generator.random((3, n)) < skill).astype(int)
            for a, b in ((start, tuned), (start, control), (control, tuned)):
                step = b - a
                lost, gained = int(np.sum(step < 0)), int(np.sum(step > 0))
                p.append(_p(min(lost, gained), max(lost, gained)))
                signs.append(gained - lost)
        verdicts = [one.p_adjusted <= 0.05 for one in correct(p)]
        wrong += any(v and s > 0 for v, s in zip(verdicts, signs, strict=True))
        plain += any(v <= 0.05 and s > 0 for v, s in zip(p, signs, strict=True))
    assert wrong / runs <= 0.05
    assert plain / runs > 0.10  # what uncorrected verdicts would have claimed


@pytest.mark.parametrize(("n", "discordance"), [(164, 0.15), (500, 0.2), (1319, 0.2)])
def test_power_is_as_computed(n: int, discordance: float) -> None:
    generator = np.random.default_rng(n)
    runs = 2000
    effect = minimum_detectable_effect(n, discordance)
    for difference in (effect, effect / 2):
        p, sign = _tests(n, discordance, difference, runs, generator)
        power = mcnemar_power(n, discordance, difference)
        assert abs(float(np.mean(p <= 0.05)) - power) <= 4 * np.sqrt(power * (1 - power) / runs)
        assert np.mean((p <= 0.05) & (sign < 0)) < 0.005
    assert mcnemar_power(n, discordance, effect) == pytest.approx(0.8, abs=0.003)


def _clustered(
    p: float, clusters: int, largest: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Answers to clusters of 1 to `largest` items (5 each for 5), intra-cluster correlation 0.3."""
    sizes = generator.integers(1, largest + 1, clusters) if largest != 5 else np.full(clusters, 5)
    groups = np.repeat(np.arange(clusters), sizes)
    skill = generator.beta(p * 7 / 3, (1 - p) * 7 / 3, clusters)
    return (generator.random(groups.size) < skill[groups]).astype(float), groups


def _single(runs: int, p: float, clusters: int, largest: int) -> tuple[float, float, float]:
    """Coverage of ours, the central limit's and plain Wilson, over clustered items."""
    generator = np.random.default_rng(int(1000 * p) + clusters + largest)
    hits = np.zeros(3)
    for _ in range(runs):
        y, groups = _clustered(p, clusters, largest, generator)
        ours, plain = proportion(y, groups).interval, wilson(int(y.sum()), y.size)
        half = Z * np.sqrt(y.mean() * (1 - y.mean()) / y.size)
        hits += [
            ours.low <= p <= ours.high,
            abs(y.mean() - p) <= half,
            plain.low <= p <= plain.high,
        ]
    ours_covers, naive, alone = (hits / runs).tolist()
    return ours_covers, naive, alone


@pytest.mark.parametrize(("p", "clusters", "largest"), [(0.5, 30, 5), (0.9, 100, 5)])
def test_intervals_hold_where_items_cluster(p: float, clusters: int, largest: int) -> None:
    ours, naive, alone = _single(2000, p, clusters, largest)
    assert 0.94 <= ours <= 0.96
    assert max(naive, alone) <= 0.85


@pytest.mark.full
@pytest.mark.parametrize("largest", [5, 15])
@pytest.mark.parametrize("clusters", [30, 100, 264])
def test_intervals_hold_where_items_cluster_over_the_grid(clusters: int, largest: int) -> None:
    cells = [_single(3000, p, clusters, largest) for p in GRID]
    _within([cell[0] for cell in cells], few=clusters == 30, least=0.90)
    assert max(max(cell[1:]) for cell in cells) <= 0.86


def _within(ours: list[float], *, few: bool, least: float) -> None:
    """The bounds of the module's docstring, on the coverage at each of `GRID`.

    Args:
        ours: coverages.
        few: 30 clusters: the last cell, p = 0.95, has a bound of its own, and so has the mean.
        least: that bound.
    """
    assert (0.93 if few else 0.94) <= np.mean(ours) <= 0.96
    assert min(ours[:-1]) >= 0.92
    assert ours[-1] >= (least if few else 0.92)


def _sampled(runs: int, p: float, n: int, samples: int) -> float:
    """Coverage over n items of unequal difficulty with several samples each."""
    generator = np.random.default_rng(n + samples)
    hits = 0
    for _ in range(runs):
        y = generator.binomial(samples, generator.beta(p / 2, (1 - p) / 2, n)) / samples
        found = proportion(y, draws=n * samples).interval
        hits += found.low <= p <= found.high
    return hits / runs


def test_intervals_hold_with_several_samples_an_item() -> None:
    assert 0.94 <= _sampled(2000, 0.5, 30, 8) <= 0.965
    assert 0.94 <= _sampled(2000, 0.8, 164, 4) <= 0.96


@pytest.mark.full
@pytest.mark.parametrize(("n", "samples"), [(30, 8), (100, 4), (164, 4), (500, 4)])
def test_intervals_hold_with_several_samples_over_the_grid(n: int, samples: int) -> None:
    _within([_sampled(3000, p, n, samples) for p in GRID], few=n == 30, least=0.88)


def _changes(
    runs: int, p: float, step: float, clusters: int, largest: int
) -> list[tuple[Change, float]]:
    """Comparisons of two models over clusters, half of whose skill they share when equal.

    With each, the p-value of a test that takes items for independent.
    """
    generator = np.random.default_rng(int(100 * p) + clusters + largest)
    found = []
    for _ in range(runs):
        sizes = generator.integers(1, largest + 1, clusters) if largest != 5 else 5
        groups = np.repeat(np.arange(clusters), sizes)
        skill = generator.beta(p * 7 / 3, (1 - p) * 7 / 3, clusters)
        q = p + step
        own = generator.beta(q * 7 / 3, (1 - q) * 7 / 3, clusters)
        if step == 0:
            own = np.where(generator.random(clusters) < 0.5, skill, own)
        a, b = ((generator.random(groups.size) < s[groups]).astype(float) for s in (skill, own))
        plain = mcnemar_exact(int(np.sum(b < a)), int(np.sum(b > a)))
        found.append((compare_items(a, b, groups, resamples=0), plain))
    return found


def _held(found: list[tuple[Change, float]], step: float) -> tuple[float, float, float]:
    """Share that covers, that is called improved, and that McNemar would reject."""
    covers = np.mean([c.interval.low <= step <= c.interval.high for c, _ in found])
    improved = np.mean([c.word() == "improved" for c, _ in found])
    return float(covers), float(improved), float(np.mean([p <= 0.05 for _, p in found]))


def test_verdicts_hold_where_items_cluster() -> None:
    covers, improved, plain = _held(_changes(500, 0.5, 0.0, 30, 5), 0.0)
    assert covers >= 0.93
    assert improved <= 0.05
    assert plain > 0.08
    covers, _, _ = _held(_changes(300, 0.8, 0.1, 60, 5), 0.1)
    assert covers >= 0.93


@pytest.mark.full
@pytest.mark.parametrize(("clusters", "largest"), [(30, 5), (100, 5), (30, 15), (100, 15)])
def test_verdicts_hold_where_items_cluster_over_the_grid(clusters: int, largest: int) -> None:
    for p in (0.2, 0.5, 0.9):
        covers, improved, plain = _held(_changes(2000, p, 0.0, clusters, largest), 0.0)
        assert covers >= 0.93
        assert improved <= 0.035  # 2.5% and simulation error
        assert plain > 0.08
        covers, _, _ = _held(_changes(1000, p, 0.05, clusters, largest), 0.05)
        assert covers >= 0.92


@pytest.mark.full
def test_what_could_have_been_seen_is_seen_where_items_cluster() -> None:
    found = _changes(1500, 0.5, 0.1, 100, 5)
    typical = float(np.median([c.detectable() for c, _ in found]))
    seen = _changes(1500, 0.5, typical, 100, 5)
    assert np.mean([c.word() == "improved" for c, _ in seen]) == pytest.approx(0.8, abs=0.06)
