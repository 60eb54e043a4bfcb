"""Statistics against published values, values worked by hand, and brute force."""

from __future__ import annotations

import itertools
import math

import pytest
from scipy import stats

from eval.statistics.intervals import (
    Interval,
    Paired,
    mcnemar_exact,
    mcnemar_power,
    minimum_detectable_effect,
    paired_difference,
    wilson,
)

Z = 1.959963984540054


# Newcombe 1998 (Statistics in Medicine 17:857-872), table I, method 3: Wilson without correction.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_wilson_agrees_with_newcombes_table(
    successes: int, n: int, low: float, high: float
) -> None:
    found = wilson(successes, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_8_in_10() -> None:
    found = wilson(8, 10)
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)


@pytest.mark.parametrize("n", [1, 7, 500])
def test_wilson_limits_solve_the_score_equation_and_mirror(n: int) -> None:
    for k in range(n + 1) if n < 10 else (0, 3, 250, 499, 500):
        found, mirror = wilson(k, n), wilson(n - k, n)
        for limit in (found.low, found.high):
            assert (k / n - limit) ** 2 == pytest.approx(Z**2 * limit * (1 - limit) / n, abs=1e-12)
        assert found.low == pytest.approx(1 - mirror.high, abs=1e-12)
        assert 0 <= found.low < found.high <= 1


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_counts_that_are_none(k: int, n: int) -> None:
    with pytest.raises(ValueError):
        wilson(k, n)


def test_intervals_overlap_when_they_share_a_point() -> None:
    assert Interval(0.1, 0.2).overlaps(Interval(0.2, 0.3))
    assert Interval(0.1, 0.9).overlaps(Interval(0.4, 0.5))
    assert not Interval(0.3, 0.4).overlaps(Interval(0.1, 0.29))


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [
        (0, 0, 1.0),
        (0, 5, 2 / 2**5),
        (0, 6, 2 / 2**6),  # the fewest discordant items that reject at 5%
        (3, 3, 1.0),
        (2, 12, 2 * (1 + 14 + 91) / 2**14),
        (12, 2, 2 * (1 + 14 + 91) / 2**14),
    ],
)
def test_mcnemar_by_hand(lost: int, gained: int, p: float) -> None:
    assert mcnemar_exact(lost, gained) == pytest.approx(p, rel=1e-12)


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError):
        mcnemar_exact(-1, 3)


def test_paired_difference_of_newcombes_example() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:2635-2650), a=36, b=12, c=2, d=0, method 10.
    found = paired_difference(Paired(both_right=36, only_base=2, only_tuned=12, both_wrong=0))
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_paired_difference_of_the_airway_example() -> None:
    # Bentur et al. 2009, as in Fagerland, Lydersen and Laake 2014 (Statistics in Medicine
    # 33:2850-2875): square-and-add interval -0.507 to -0.026.
    found = paired_difference(Paired(both_right=1, only_base=7, only_tuned=1, both_wrong=12))
    assert (found.low, found.high) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_paired_difference_with_positive_correlation_by_hand() -> None:
    # 14 both, 5 only the base, 0 only the tuned, 22 neither, n = 41: φ = 0.72326, that is
    # (308 - 20.5)/√(19·22·14·27); Wilson limits of 19/41 and 14/41 from the closed form.
    def closed(k: int, n: int) -> tuple[float, float]:
        centre, half = 2 * k + Z**2, Z * math.sqrt(Z**2 + 4 * k * (n - k) / n)
        return (centre - half) / (2 * (n + Z**2)), (centre + half) / (2 * (n + Z**2))

    (l1, u1), (l2, u2) = closed(19, 41), closed(14, 41)
    p1, p2 = 19 / 41, 14 / 41
    phi = 287.5 / math.sqrt(19 * 22 * 14 * 27)
    low = p2 - p1 - math.sqrt(
        (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2
    )  # fmt: skip
    high = p2 - p1 + math.sqrt(
        (u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p1 - l1) + (p1 - l1) ** 2
    )  # fmt: skip
    found = paired_difference(Paired(both_right=14, only_base=5, only_tuned=0, both_wrong=22))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_paired_difference_is_antisymmetric_and_inside_its_bounds() -> None:
    for cells in itertools.product((0, 1, 4, 30), repeat=4):
        if sum(cells) == 0:
            continue
        both, base, tuned, neither = cells
        one = paired_difference(Paired(both, base, tuned, neither))
        other = paired_difference(Paired(both, tuned, base, neither))
        assert one.low == pytest.approx(-other.high, abs=1e-12)
        assert -1 - 1e-12 <= one.low <= (tuned - base) / sum(cells) <= one.high <= 1 + 1e-12


def test_an_empty_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="n=0"):
        Paired(0, 0, 0, 0)
    with pytest.raises(ValueError, match="negative"):
        Paired(1, -1, 0, 0)


@pytest.mark.parametrize(
    ("n", "discordance", "difference"), [(9, 0.6, 0.4), (12, 0.5, -0.5), (10, 1.0, 0.0)]
)
def test_power_equals_the_sum_over_all_outcomes(
    n: int, discordance: float, difference: float
) -> None:
    gained, lost = (discordance + difference) / 2, (discordance - difference) / 2
    expected = 0.0
    for g in range(n + 1):
        for b in range(n + 1 - g):
            if mcnemar_exact(b, g) <= 0.05:
                expected += stats.multinomial.pmf(
                    [g, b, n - g - b], n, [gained, lost, 1 - gained - lost]
                )
    assert mcnemar_power(n, discordance, difference) == pytest.approx(expected, abs=1e-6)


def test_false_positive_rate_never_exceeds_its_level() -> None:
    for n, discordance in itertools.product((6, 30, 164, 1319), (0.02, 0.2, 0.9)):
        assert mcnemar_power(n, discordance, 0.0) <= 0.05


def test_detectable_effect_is_where_power_reaches_80_percent() -> None:
    for n, discordance in ((1319, 0.2), (500, 0.2), (164, 0.15)):
        effect = minimum_detectable_effect(n, discordance)
        assert mcnemar_power(n, discordance, effect) >= 0.8
        assert mcnemar_power(n, discordance, effect - 0.002) < 0.8


def test_detectable_effect_is_near_the_normal_approximation() -> None:
    # (z_0.975 + z_0.8)·√(0.2/1319) = 3.45 points (GSM8K, 20% discordant) and 5.60 for MATH-500;
    # the exact test asks for a little more.
    assert 0.0345 < minimum_detectable_effect(1319, 0.2) < 0.0365
    assert 0.0560 < minimum_detectable_effect(500, 0.2) < 0.0590


def test_models_that_agree_everywhere_promise_no_perfect_test() -> None:
    # About 8 one-sided changes are needed for an 80% chance of at least 6.
    assert minimum_detectable_effect(500, 0.0) == pytest.approx(7.9 / 500, abs=1e-3)
    assert minimum_detectable_effect(5, 0.4) == math.inf  # 5 coin tosses never reach 5%
