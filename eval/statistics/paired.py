"""Two models on the same items: the test, the interval, and what could have been seen.

In: per item the share of each model's samples that are right, with clusters and weights where
there are any. Out: a `Change`; the verdict follows from its p-value and a level, which the caller
corrects when there are several. Nothing here reads files or knows what a task is.

One binary answer an item: exact McNemar and Newcombe's interval. Otherwise the sign-flip test over
clusters, which is McNemar's test in the first case, and Newcombe's interval at the effective number
of items. Both hold their level where a central-limit test does not (few or large clusters).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from eval.statistics.intervals import (
    ALPHA,
    Interval,
    Paired,
    mcnemar_exact,
    paired_difference,
)
from eval.statistics.mean import Codes, Floats, cluster_shares, robust_error, score_interval
from eval.statistics.power import detectable_change
from eval.statistics.samples import RESAMPLES, bootstrap_interval

EXACT_CELLS: Final = 100_000_000  # additions that the exact distribution of a sign-flip may take
FLIPS: Final = 100_000  # random sign patterns beyond that
LARGEST_SCALE: Final = 5040  # common denominator of item shares that is still summed exactly
IMPROVED: Final = "improved"
REGRESSED: Final = "regressed"
UNCLEAR: Final = "no detectable change"


@dataclass(frozen=True, slots=True)
class Change:
    """Tuned minus base on the same items.

    Attributes:
        n: items.
        clusters: independent groups of items; `n` when there are none.
        base: accuracy of the base model on these items.
        other: accuracy of the other model.
        table: counts, with one binary answer an item; else None.
        discordance: expected share of pairs of answers of which one is right.
        difference: other minus base.
        interval: 95%, with `interval_method`.
        bootstrap: 95% interval by paired resampling of clusters; None with fewer than two.
        test: `mcnemar-exact`, `sign-flip` (exact) or `sign-flip-sampled`.
        p_value: two-sided.
        effective_n: pairs of independent answers that would give this standard error.
        standard_error: of the difference, cluster-robust.
        shares: of the weight, one per cluster; None for `mcnemar-exact`.
    """

    n: int
    clusters: int
    base: float
    other: float
    table: Paired | None
    discordance: float
    difference: float
    interval: Interval
    interval_method: str
    bootstrap: Interval | None
    test: str
    p_value: float
    effective_n: float
    standard_error: float
    shares: tuple[float, ...] | None

    def detectable(self, level: float = ALPHA) -> float:
        """Smallest true change that would have been seen with 80% power; infinity for none.

        That of the exact McNemar test at the effective number of items and this discordance, and
        not below that of the sign-flip test where this was the test: G clusters cannot give a
        p-value below 2^(1−G), however many items they hold.
        """
        shares = None if self.shares is None else np.array(self.shares)
        return detectable_change(
            self.effective_n, self.discordance, self.standard_error, shares, level
        )

    def word(self, level: float = ALPHA) -> str:
        """The verdict when the p-value must not exceed `level`."""
        if self.p_value > level or self.difference == 0:
            return UNCLEAR
        return IMPROVED if self.difference > 0 else REGRESSED


def compare_items(
    base: ArrayLike,
    other: ArrayLike,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    *,
    draws: int | None = None,
    seed: int = 1,
    resamples: int = RESAMPLES,
) -> Change:
    """The change from one model to another over items that both answered.

    Args:
        base: share of the base model's samples that are right, per item.
        other: the same of the other model, same order.
        clusters: code of each item's cluster; None: items are independent.
        weights: of the items, for strata sampled unequally; None: equal.
        draws: pairs of generations behind the shares; None: one an item.
        seed: of resampling.
        resamples: of the bootstrap; 0 leaves it out.

    Raises:
        ValueError: no items, lengths that differ, or a share outside [0, 1].
    """
    a, b = np.asarray(base, dtype=float), np.asarray(other, dtype=float)
    if a.size == 0 or a.size != b.size:
        raise ValueError(f"needs the same items of both models, got {a.size} and {b.size}")
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) > 1:
        raise ValueError("shares must lie in [0, 1]")
    w = np.full(a.size, 1 / a.size) if weights is None else weights / weights.sum()
    difference = float(w @ (b - a)) if weights is not None else float((b - a).mean())
    count = a.size if clusters is None else int(np.unique(clusters).size)
    cells = np.array([w @ (a * b), w @ (a * (1 - b)), w @ ((1 - a) * b), w @ ((1 - a) * (1 - b))])
    error, degrees = robust_error(b - a, clusters, weights)
    shares = None
    binary = bool(np.all((a == 0) | (a == 1)) and np.all((b == 0) | (b == 1)))
    bootstrap = None
    if count > 1 and resamples:
        bootstrap = bootstrap_interval(b - a, clusters, weights, seed=seed, resamples=resamples)
    table = None
    if binary:
        table = Paired(
            *(int(np.sum(cell)) for cell in (a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)))
        )
    if table is not None and count == a.size and weights is None and draws in (None, a.size):
        effective, test, method = float(a.size), "mcnemar-exact", "newcombe-10"
        p_value = mcnemar_exact(table.only_base, table.only_tuned)
        interval = paired_difference(table)
    else:
        limit = float(a.size if draws is None else draws)
        effective = _effective(cells, difference, error, degrees + 1, limit)
        p_value, test = sign_flip(b - a, clusters, weights, seed=seed)
        interval = _newcombe(cells, effective, float(stats.t.ppf(1 - ALPHA / 2, max(degrees, 1))))
        method = "newcombe-10-cluster"
        shares = tuple(cluster_shares(a.size, clusters, weights).tolist())
    return Change(
        n=int(a.size),
        clusters=count,
        base=float(w @ a),
        other=float(w @ b),
        table=table,
        discordance=min(float(cells[1] + cells[2]), 1.0),
        difference=difference,
        interval=interval,
        interval_method=method,
        bootstrap=bootstrap,
        test=test,
        p_value=p_value,
        effective_n=effective,
        standard_error=error,
        shares=shares,
    )


def _effective(
    cells: Floats, difference: float, error: float, clusters: float, limit: float
) -> float:
    """Independent pairs with this standard error; the clusters' number where it is 0."""
    variance = float(cells[1] + cells[2]) - difference**2
    if error < 1e-12 or variance < 1e-12:
        return clusters
    return min(variance / error**2, limit)


def _newcombe(cells: Floats, n: float, quantile: float) -> Interval:
    """`statistics.paired_difference` for shares of cells, any n, any quantile."""
    both, base, tuned, neither = (float(cell) for cell in cells)
    p_base, p_tuned = both + base, both + tuned
    ci_base, ci_tuned = (
        score_interval(min(max(share, 0.0), 1.0), n, quantile) for share in (p_base, p_tuned)
    )
    margins = (both + base) * (tuned + neither) * (both + tuned) * (base + neither)
    cross = both * neither - base * tuned
    if cross > 0:
        cross = max(cross - 1 / (2 * n), 0.0)
    phi = cross / math.sqrt(margins) if margins > 1e-15 else 0.0

    def joined(tuned_gap: float, base_gap: float) -> float:
        squared = tuned_gap**2 - 2 * phi * tuned_gap * base_gap + base_gap**2
        return math.sqrt(max(squared, 0.0))

    below = joined(p_tuned - ci_tuned.low, ci_base.high - p_base)
    above = joined(ci_tuned.high - p_tuned, p_base - ci_base.low)
    return Interval(p_tuned - p_base - below, p_tuned - p_base + above)


def sign_flip(
    differences: ArrayLike,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    *,
    seed: int = 1,
) -> tuple[float, str]:
    """Two-sided sign-flip test of paired differences, whole clusters at a time.

    Fisher 1935 (The Design of Experiments, section 21). When the two models are interchangeable on
    every cluster, each cluster's summed difference has either sign with chance 1/2, whatever
    happens inside the cluster; p is the share of the sign patterns whose sum is at least as large
    as the one seen. Exact: the distribution of the sum is built from binomial ones, one for each
    size of a difference. With differences of −1, 0 and 1 and no clusters it is the exact McNemar
    test. Shares without a small common denominator, and sums with too many values, are sampled:
    p = (hits + 1)/(patterns + 1).

    Returns:
        The p-value, and `sign-flip` or `sign-flip-sampled`.
    """
    d = np.asarray(differences, dtype=float)
    scaled = d if weights is None else d * weights / weights.mean()
    scale = _scale(scaled)
    if clusters is not None:
        scaled = np.bincount(np.unique(clusters, return_inverse=True)[1], scaled)
    if scale is None:
        return _sampled(np.round(np.abs(scaled), 12), float(abs(scaled.sum())), seed)
    whole = np.rint(scaled * scale).astype(np.int64)
    sizes, times = np.unique(np.abs(whole[whole != 0]), return_counts=True)
    seen = abs(int(whole.sum()))
    if sizes.size == 0 or seen == 0:
        return 1.0, "sign-flip"
    common = reduce(math.gcd, sizes.tolist())
    sizes, seen = sizes // common, seen // common
    reach = int(sizes @ times)
    if int(times.sum()) * (reach + 1) > EXACT_CELLS:
        return _sampled(np.abs(whole).astype(float), float(seen * common), seed)
    # `total[j]` is the chance that the positive differences sum to j; their sum is 2j − reach.
    total = np.ones(1)
    for size, count in zip(sizes.tolist(), times.tolist(), strict=True):
        kernel = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        wider = np.zeros(total.size + size * count)
        for j in np.flatnonzero(kernel):
            wider[size * j : size * j + total.size] += kernel[j] * total
        total = wider
    tail = float(total[: (reach - seen) // 2 + 1].sum())
    return min(2 * tail, 1.0), "sign-flip"


def _scale(values: Floats) -> int | None:
    """The least number that makes all values whole; None when there is no small one."""
    denominators = {
        Fraction(value).limit_denominator(LARGEST_SCALE).denominator
        for value in np.unique(np.abs(values)).tolist()
    }
    scale = math.lcm(*denominators) if denominators else 1
    if scale > LARGEST_SCALE or not np.allclose(
        values * scale, np.rint(values * scale), rtol=0, atol=1e-6
    ):
        return None
    return scale


def _sampled(sizes: Floats, seen: float, seed: int) -> tuple[float, str]:
    """The same by random sign patterns; equal sizes share one binomial draw."""
    kinds, times = np.unique(sizes[sizes > 0], return_counts=True)
    if kinds.size == 0:
        return 1.0, "sign-flip-sampled"
    generator = np.random.default_rng(seed)
    total = np.zeros(FLIPS)
    for kind, count in zip(kinds.tolist(), times.tolist(), strict=True):
        total += kind * (2 * generator.binomial(count, 0.5, FLIPS) - count)
    hits = int(np.sum(np.abs(total) >= seen - 1e-9))
    return (hits + 1) / (FLIPS + 1), "sign-flip-sampled"


def line(change: Change, level: float = ALPHA, p_adjusted: float | None = None) -> str:
    """The verdict with its numbers in one line, in percentage points."""
    word = change.word(level)
    could = ""
    if word == UNCLEAR:
        seen = change.detectable(level)
        could = f" (could have seen {_seen(seen, change)})"
    parts = [
        f"{word}{could}: {100 * change.difference:+.1f} points "
        f"[{100 * change.interval.low:+.1f}, {100 * change.interval.high:+.1f}]",
        p_text(change.p_value),
    ]
    if p_adjusted is not None and p_adjusted != change.p_value:
        parts.append(p_text(p_adjusted).replace("p", "corrected p", 1))
    parts.append(f"n = {change.n}")
    if change.clusters != change.n:
        parts.append(f"{change.clusters} clusters")
    return ", ".join(parts)


def _seen(detectable: float, change: Change) -> str:
    if math.isfinite(detectable):
        return f"≥ {100 * detectable:.1f} points"
    return "nothing at this n" if change.clusters == change.n else "nothing over so few clusters"


def p_text(p_value: float) -> str:
    """A p-value as text."""
    return f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < 0.0001"
