"""One model's accuracy when items cluster, have several samples or stand for unequal strata.

In: one value per item in [0, 1], with cluster, stratum and weight where there are any. Out: an
`Estimate` with its standard error and interval. Independent items with one sample each get Wilson's
interval; all else a cluster-robust standard error, which enters Wilson's formula as an effective
number of items with Student's t, so that the interval is never empty and never leaves [0, 1].
Nothing here resamples or reads files.

Sources: cluster-robust errors of evaluations, Miller 2024 (arXiv 2411.00640), in the form that
holds for unequal clusters; score interval at the effective sample size as compared by
Dean and Pagano 2015 (Journal of Survey Statistics and Methodology 3:484-503) and Franco et al. 2019
(same journal 7:334-364); stratified means as in Cochran 1977 (Sampling Techniques, chapter 5).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from eval.statistics.intervals import ALPHA, Interval, wilson

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with what one may know of it.

    Attributes:
        value: the (weighted) mean.
        interval: at the wanted confidence.
        standard_error: cluster-robust where items cluster.
        degrees: of freedom of the standard error, not always whole; 0 with a single cluster.
        effective_n: independent items that would give this standard error.
        method: `wilson`, `wilson-cluster` (all that is not independent single answers) or
            `cluster-t`.
    """

    value: float
    interval: Interval
    standard_error: float
    degrees: float
    effective_n: float
    method: str


def codes(names: Sequence[Hashable | None]) -> Codes:
    """Numbers 0, 1, … for names in the order they come; each None gets a number of its own."""
    known: dict[Hashable, int] = {}
    found = []
    for position, name in enumerate(names):
        key = (position,) if name is None else ("named", name)
        found.append(known.setdefault(key, len(known)))
    return np.array(found, dtype=np.int64)


def cluster_shares(size: int, clusters: Codes | None, weights: Floats | None) -> Floats:
    """Each cluster's share of the weight of `size` items; each item is a cluster without codes."""
    w = np.full(size, 1 / size) if weights is None else weights / weights.sum()
    if clusters is None:
        return w
    return np.bincount(np.unique(clusters, return_inverse=True)[1], w).astype(float)


def score_interval(share: float, n: float, quantile: float) -> Interval:
    """Wilson's formula for any positive n and any quantile (normal or Student's)."""
    square = quantile**2 / n
    centre = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0))


def robust_error(
    values: ArrayLike,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    strata: Codes | None = None,
) -> tuple[float, float]:
    """Standard error of a weighted mean by leaving out one cluster at a time, and its degrees.

    With e_i = w_i·(y_i − ȳ), summed within each of G clusters to E_g, and W_g the cluster's share
    of the weight: √((G−1)/G·Σ (E_g/(1−W_g))²), with 1/ΣW_g² − 1 degrees (MacKinnon, Nielsen and
    Webb 2023, Journal of Econometrics 232:272-299; Kish's effective number of clusters). For
    clusters of one size it is Liang and Zeger's error with the factor G/(G−1) and G−1 degrees, for
    single items √(s²/n); for unequal clusters that one is too small. Given strata, means and
    shares are those within the stratum, and the variances are added; strata with one cluster are
    taken as one stratum. No correction for a finite population: the items stand for more of their
    kind.
    """
    y = np.asarray(values, dtype=float)
    w = np.full(y.size, 1 / y.size) if weights is None else weights / weights.sum()
    g = np.arange(y.size) if clusters is None else clusters
    h = np.zeros(y.size, dtype=np.int64) if strata is None else strata.copy()
    if strata is not None:
        lone = [name for name in np.unique(h) if np.unique(g[h == name]).size < 2]
        h[np.isin(h, lone)] = -1
    variance, degrees = 0.0, 0.0
    for name in np.unique(h):
        inside = h == name
        part, of = w[inside], np.unique(g[inside], return_inverse=True)[1]
        mean = float(part @ y[inside] / part.sum())
        sums = np.bincount(of, part * (y[inside] - mean))
        held = np.bincount(of, part) / part.sum()
        if sums.size > 1:
            left = sums / (1 - held)
            variance += (sums.size - 1) / sums.size * float(left @ left)
            degrees += 1 / float(held @ held) - 1
        else:
            variance += float(sums @ sums)
    return math.sqrt(variance), degrees


def mean_t(
    values: ArrayLike, clusters: Codes | None = None, confidence: float = 1 - ALPHA
) -> Estimate:
    """A mean of anything (tokens, scores) with Student's t on the cluster-robust error.

    Raises:
        ValueError: fewer than two clusters.
    """
    y = np.asarray(values, dtype=float)
    error, degrees = robust_error(y, clusters)
    if degrees <= 0:
        raise ValueError(f"a t interval needs two clusters or more, got {y.size} values in one")
    half = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error
    value = float(y.mean())
    effective = float(y.var()) / error**2 if error > 0 else math.inf
    return Estimate(
        value, Interval(value - half, value + half), error, degrees, effective, "cluster-t"
    )


def proportion(
    values: ArrayLike,
    clusters: Codes | None = None,
    *,
    weights: Floats | None = None,
    strata: Codes | None = None,
    draws: int | None = None,
    confidence: float = 1 - ALPHA,
) -> Estimate:
    """Accuracy over items with the interval that fits how they came about.

    The effective number of items is p(1−p)/SE², at most `draws`; where SE is 0 (all items right,
    say) it is the effective number of clusters, which assumes the most dependence. t replaces the
    normal quantile, on the degrees of the error.

    Args:
        values: per item the share of its samples that are right.
        clusters: code of each item's cluster; None: items are independent.
        weights: of the items, when strata were sampled unequally; they need not sum to 1.
        strata: code of each item's stratum; used with `weights` only.
        draws: generations behind the values; None: one an item.
        confidence: two-sided.

    Raises:
        ValueError: no items, or a value outside [0, 1].
    """
    y = np.asarray(values, dtype=float)
    if y.size == 0:
        raise ValueError("an interval needs at least one item, got n=0")
    if y.min() < 0 or y.max() > 1:
        raise ValueError(f"values must lie in [0, 1], got {y.min()} to {y.max()}")
    count = y.size if clusters is None else int(np.unique(clusters).size)
    binary = bool(np.all((y == 0) | (y == 1)))
    error, degrees = robust_error(y, clusters, weights, strata if weights is not None else None)
    if weights is None and count == y.size and binary and draws in (None, y.size):
        interval = wilson(int(y.sum()), y.size, confidence)
        return Estimate(float(y.mean()), interval, error, degrees, float(y.size), "wilson")
    value = float(np.average(y, weights=weights))
    spread = value * (1 - value)
    effective = spread / error**2 if error > 1e-12 and spread > 0 else degrees + 1
    effective = min(effective, float(y.size if draws is None else draws))
    quantile = float(stats.t.ppf((1 + confidence) / 2, max(degrees, 1)))
    interval = score_interval(min(max(value, 0.0), 1.0), effective, quantile)
    return Estimate(value, interval, error, degrees, effective, "wilson-cluster")


def stratum_weights(strata: Sequence[str], population: Mapping[str, int]) -> Floats | None:
    """Weight of each item so that each stratum counts as in the population (N_h / n_h).

    None when the sample has every stratum in proportion already (to one item), or lacks a stratum
    or the population does: weights would then promise what they cannot hold.
    """
    names, inverse, counts = np.unique(np.array(strata), return_inverse=True, return_counts=True)
    if set(names.tolist()) != {name for name, rows in population.items() if rows > 0}:
        return None
    rows = np.array([population[name] for name in names.tolist()], dtype=float)
    fair = rows / rows.sum() * counts.sum()
    if np.all(np.abs(fair - counts) < 1):
        return None
    return np.asarray((rows / counts)[inverse], dtype=float)
