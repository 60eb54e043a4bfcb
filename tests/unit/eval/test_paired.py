"""The paired test and interval: brute force over sign patterns, McNemar, statsmodels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from eval.statistics.intervals import (
    Paired,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_difference,
)
from eval.statistics.paired import compare_items, line, sign_flip


def _pairs(both: int, lost: int, gained: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    base = np.repeat([1.0, 1, 0, 0], [both, lost, gained, neither])
    other = np.repeat([1.0, 0, 1, 0], [both, lost, gained, neither])
    return base, other


def _brute(sums: list[float]) -> float:
    seen = abs(sum(sums))
    patterns = list(itertools.product((-1, 1), repeat=len(sums)))
    hits = sum(
        abs(sum(s * d for s, d in zip(signs, sums, strict=True))) >= seen - 1e-9
        for signs in patterns
    )
    return hits / len(patterns)


@pytest.mark.parametrize(
    ("lost", "gained"), [(0, 0), (0, 5), (3, 3), (2, 12), (12, 2), (60, 95), (400, 300)]
)
def test_sign_flip_is_mcnemars_test_on_single_answers(lost: int, gained: int) -> None:
    base, other = _pairs(5, lost, gained, 7)
    p, test = sign_flip(other - base)
    assert test == "sign-flip"
    assert p == pytest.approx(mcnemar_exact(lost, gained), rel=1e-9)


def test_sign_flip_equals_all_sign_patterns() -> None:
    generator = np.random.default_rng(1)
    for samples in (1, 3, 4, 16):
        for _ in range(10):
            d = (
                generator.integers(0, samples + 1, 10) - generator.integers(0, samples + 1, 10)
            ) / (samples)
            assert sign_flip(d)[0] == pytest.approx(_brute(d.tolist()), abs=1e-12)
    d, groups = generator.integers(-1, 2, 24), np.repeat(np.arange(8), 3)
    whole = [float(d[groups == g].sum()) for g in range(8)]
    assert sign_flip(d, groups)[0] == pytest.approx(_brute(whole), abs=1e-12)


def test_shares_of_unequal_samples_are_summed_exactly() -> None:
    d = np.array([1 / 3, 1 / 7, -1 / 5, 1 / 3, 1 / 2, -1 / 8, 1 / 4])
    p, test = sign_flip(d)
    assert test == "sign-flip"
    assert p == pytest.approx(_brute(d.tolist()), abs=1e-12)


def test_what_has_no_common_denominator_is_sampled() -> None:
    d = np.sqrt(np.arange(1, 13)) * np.array([1, 1, -1] * 4)
    p, test = sign_flip(d, seed=3)
    assert test == "sign-flip-sampled"
    assert p == pytest.approx(_brute(d.tolist()), abs=0.01)
    assert p == sign_flip(d, seed=3)[0]


def test_weights_count_in_the_test() -> None:
    d, w = np.array([1.0, 1, 1, -1, 0, 1]), np.array([1.0, 2, 1, 3, 1, 2])
    assert sign_flip(d, weights=w)[0] == pytest.approx(_brute((d * w).tolist()), abs=1e-12)


def test_one_binary_answer_an_item_keeps_the_exact_test_and_newcombe() -> None:
    base, other = _pairs(36, 2, 12, 0)
    found = compare_items(base, other)
    assert (found.test, found.interval_method) == ("mcnemar-exact", "newcombe-10")
    assert found.interval == paired_difference(Paired(36, 2, 12, 0))
    assert (found.interval.low, found.interval.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert found.p_value == pytest.approx(212 / 2**14)
    assert found.word() == "improved"
    assert compare_items(other, base).word() == "regressed"
    assert found.word(level=0.01) == "no detectable change"
    assert found.bootstrap is not None
    assert found.bootstrap.low == pytest.approx(0.07, abs=0.04)


def test_statsmodels_agrees_on_the_exact_test() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for lost, gained in ((2, 12), (60, 95), (7, 7)):
        found = compare_items(*_pairs(30, lost, gained, 20))
        theirs = tables.mcnemar([[30, lost], [gained, 20]], exact=True).pvalue
        assert found.p_value == pytest.approx(theirs, rel=1e-9)


def test_items_repeated_within_clusters_add_no_evidence() -> None:
    base, other = _pairs(10, 2, 12, 6)
    once = compare_items(base, other)
    groups = np.repeat(np.arange(30), 10)
    tenfold = compare_items(np.repeat(base, 10), np.repeat(other, 10), groups)
    assert tenfold.test == "sign-flip"
    assert tenfold.p_value == pytest.approx(once.p_value, rel=1e-9)
    assert tenfold.effective_n == pytest.approx(29, rel=1e-6)
    assert tenfold.detectable() == pytest.approx(once.detectable(), rel=0.06)
    assert tenfold.interval.low == pytest.approx(once.interval.low, abs=0.03)
    assert mcnemar_exact(20, 120) < 1e-9  # what ignoring the clusters would have claimed


def test_newcombe_on_equal_clusters_of_one_is_newcombe() -> None:
    base, other = _pairs(300, 60, 95, 200)
    plain, grouped = compare_items(base, other), compare_items(base, other, draws=1310)
    assert grouped.interval_method == "newcombe-10-cluster"
    assert grouped.interval.low == pytest.approx(plain.interval.low, abs=2e-4)
    assert grouped.interval.high == pytest.approx(plain.interval.high, abs=2e-4)


def test_no_difference_anywhere_is_not_certainty() -> None:
    base = np.repeat([1.0, 0.0], 15)
    found = compare_items(base, base, np.repeat(np.arange(6), 5))
    assert found.p_value == 1.0
    assert found.interval.low < -0.2
    assert found.interval.high > 0.2
    assert found.detectable() == pytest.approx(minimum_detectable_effect(6, 0.0))


def test_more_samples_see_smaller_changes() -> None:
    generator = np.random.default_rng(2)
    q = generator.random(100)
    single = compare_items(
        (generator.random(100) < q).astype(float), (generator.random(100) < q).astype(float)
    )
    many = compare_items(generator.binomial(16, q) / 16, generator.binomial(16, q) / 16, draws=1600)
    assert many.detectable() < single.detectable() / 2
    assert many.interval.high - many.interval.low < single.interval.high - single.interval.low


def test_the_line_says_what_could_have_been_seen() -> None:
    found = compare_items(*_pairs(40, 3, 5, 52))
    text = line(found, 0.05, 0.9)
    assert text.startswith("no detectable change (could have seen ≥ ")
    assert "+2.0 points" in text
    assert "corrected p = 0.9" in text
    assert "nothing at this n" in line(compare_items([1.0, 0], [0.0, 0]))
    assert math.isinf(compare_items([1.0, 0], [0.0, 0]).detectable())


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 0.0]), ([2.0], [0.0])])
def test_impossible_pairs_are_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError):
        compare_items(a, b)
