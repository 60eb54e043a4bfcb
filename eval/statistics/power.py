"""What a paired comparison could have seen, also where there are few clusters of items.

In: the effective number of items and their discordance; where the test is the sign-flip test, the
clusters' shares of the weight and the standard error of the difference. Out: the smallest change
that is rejected with 80% power, infinity where nothing can be. The power of the exact McNemar test
itself, for independent items, is in `intervals`.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from typing import Final

import numpy as np
from scipy import stats

from eval.statistics.intervals import ALPHA, POWER, minimum_detectable_effect
from eval.statistics.mean import Floats

ENUMERATED: Final = 12  # clusters up to which every sign pattern is tried
RUNS: Final = 2000  # simulated comparisons; the power is known to 0.9 points
SEED: Final = 1


def least_p(clusters: int) -> float:
    """The smallest p-value that the sign-flip test can give: all clusters changed the same way."""
    return min(2.0 ** (1 - clusters), 1.0)


def detectable_change(
    effective_n: float,
    discordance: float,
    error: float,
    shares: Floats | None,
    level: float = ALPHA,
) -> float:
    """Smallest true change that the paired test at this level sees with 80% power.

    Args:
        effective_n: pairs of independent answers that would give the error.
        discordance: expected share of pairs of answers of which one is right.
        error: standard error of the difference.
        shares: of the weight, one per cluster, for the sign-flip test; None: the exact McNemar
            test.
        level: two-sided.

    Returns:
        A difference of proportions, 0 to 1; infinity when not even a difference of 1 is seen.
    """
    found = minimum_detectable_effect(max(int(effective_n), 1), discordance, alpha=level)
    if shares is not None:
        found = max(found, detectable_over_clusters(shares, error, level))
    return found if found <= 1 else math.inf


def detectable_over_clusters(
    shares: Floats, error: float, level: float = ALPHA, power: float = POWER
) -> float:
    """Smallest change that the sign-flip test over these clusters sees with this power.

    Cluster g changes by W_g·(δ + τ·Z_g), Z_g standard normal: each cluster's own change varies
    around the mean change δ, and τ = error/√ΣW_g² gives the mean the standard error that was seen.
    Up to `ENUMERATED` clusters the test itself is simulated, over all its sign patterns, as it has
    few p-values and is weaker than a t test; beyond, it is as powerful as Student's t test on
    1/ΣW_g² − 1 degrees.

    Args:
        shares: of the weight, one per cluster, positive; they sum to 1.
        error: standard error of the mean difference.
        level: two-sided.
        power: wanted probability of a rejection.

    Returns:
        A change in the units of the error; infinity where no p-value can be at or below the level.
    """
    if least_p(shares.size) > level:
        return math.inf
    together = float(shares @ shares)
    if shares.size > ENUMERATED:
        degrees = 1 / together - 1
        tails = stats.t.ppf([1 - level / 2, power], degrees)
        return float(tails.sum()) * error
    return _multiple(tuple(np.sort(shares).tolist()), level, power) * error / math.sqrt(together)


def detectable_apart(share: float, effective_n: float, degrees: float = math.inf) -> float:
    """Smallest difference that two models, each on items of its own, would show with 80% power.

    (t_0.975 + t_0.8)·√(2p(1−p)/n) with p at least one item away from 0 and 1.

    Args:
        share: accuracy of the one model that is known.
        effective_n: independent items that would give its standard error.
        degrees: of that error; infinity for single answers, which is the normal distribution.
    """
    n = max(int(effective_n), 1)
    p = min(max(share, 1 / (n + 1)), 1 - 1 / (n + 1))
    tails = stats.t.ppf([1 - ALPHA / 2, POWER], max(degrees, 1))
    return float(tails.sum()) * math.sqrt(2 * p * (1 - p) / n)


@cache
def _multiple(shares: tuple[float, ...], level: float, power: float) -> float:
    """δ/τ of `detectable_over_clusters`, by bisection on one seeded set of Z."""
    w = np.array(shares)
    # A pattern and its opposite have sums of one size: the first sign stays +.
    signs = np.array([(1, *rest) for rest in product((1, -1), repeat=w.size - 1)], dtype=float)
    noise = np.random.default_rng(SEED).standard_normal((w.size, RUNS)) * w[:, None]
    fixed, moved = signs @ noise, signs @ w

    def seen(change: float) -> bool:
        sums = np.abs(fixed + change * moved[:, None])
        p = np.mean(sums >= sums[0] - 1e-12, axis=0)
        return float(np.mean(p <= level)) >= power

    low, high = 0.0, 1.0
    while not seen(high):
        low, high = high, 2 * high
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high
