"""Several samples an item: pass@k, maj@k, and the bootstrap over clusters of items.

In: per item how many samples there are, which are right and what they answered. Out: one value per
item, and intervals of means over items. Every random choice has a seed. Nothing here reads files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from eval.statistics.intervals import ALPHA, Interval
from eval.statistics.mean import Codes, Floats, score_interval

RESAMPLES = 10_000
SUBSETS = 200  # random subsets of an item's samples for maj@k below all of them
CELLS = 4_000_000  # numbers held at once while resampling


def pass_at_k(correct: ArrayLike, samples: ArrayLike, k: int) -> Floats:
    """Per item the unbiased chance that one of k samples is right: 1 − C(n−c, k)/C(n, k).

    Chen et al. 2021 (arXiv 2107.03374). Averaging 1 − (1 − c/n)^k instead is biased downwards.

    Args:
        correct: right samples of each item.
        samples: samples of each item, each at least k.
        k: at least 1.

    Raises:
        ValueError: an item has fewer samples than k, or counts are impossible.
    """
    c, n = np.asarray(correct, dtype=float), np.asarray(samples, dtype=float)
    if k < 1 or np.any(n < k) or np.any(c < 0) or np.any(c > n):
        raise ValueError(
            f"pass@k needs 1 <= k <= samples and 0 <= correct <= samples, got k={k}, "
            f"samples from {n.min() if n.size else 0:g}"
        )
    failing = np.ones_like(n)
    for j in range(k):
        failing *= np.maximum(n - c - j, 0) / (n - j)
    return np.asarray(1 - failing, dtype=float)


def maj_at_k(
    answers: Sequence[str], right: Sequence[float], k: int, generator: np.random.Generator
) -> float:
    """Chance that the majority answer of k samples of one item is right.

    All right samples are one answer, however they are written, as they equal the gold; wrong ones
    are told apart by their text. Samples without an answer do not vote; no vote at all is wrong;
    ties are broken at random, so a tie of two counts one half. For k below the number of samples
    it is the mean over `SUBSETS` random subsets.

    Args:
        answers: what was read out of each sample, "" for none.
        right: value of each sample, 1 for right.
        k: samples that vote, at most all.
        generator: seeded.

    Raises:
        ValueError: k is not in 1..samples.
    """
    n = len(answers)
    if not 1 <= k <= n:
        raise ValueError(f"maj@k needs 1 <= k <= {n} samples, got k={k}")
    names = [
        "\0right" if value == 1 else answer for answer, value in zip(answers, right, strict=True)
    ]
    voting = list(dict.fromkeys(name for name in names if name))
    if not voting:
        return 0.0
    ballots = np.array([[name == vote for vote in voting] for name in names], dtype=np.int64)
    if k == n:
        counts = ballots.sum(axis=0, keepdims=True)
    else:
        order = generator.random((SUBSETS, n)).argsort(axis=1)[:, :k]
        counts = ballots[order].sum(axis=1)
    best = counts.max(axis=1, keepdims=True)
    winners = (counts == best) & (best > 0)
    if "\0right" not in voting:
        return 0.0
    hit = winners[:, voting.index("\0right")]
    return float(np.mean(hit / np.maximum(winners.sum(axis=1), 1)))


def bootstrap_interval(
    values: ArrayLike,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 1 - ALPHA,
) -> Interval:
    """Interval of a weighted mean (`expanded_percentiles`), clusters drawn with replacement.

    Clusters with the same sums are drawn together, as one multinomial category, which is the same
    distribution at a fraction of the cost. A sample without any spread has a bootstrap without
    any: callers must not show that as certainty (`spread_interval`).

    Args:
        values: one per item.
        clusters: code of each item's cluster; None: each item is one.
        weights: of the items; None: equal.
        seed: of the resampling.
        resamples: number of bootstrap samples.
        confidence: two-sided.
    """
    y = np.asarray(values, dtype=float)
    w = np.ones(y.size) if weights is None else weights
    sums, sizes = w * y, w
    if clusters is not None:
        inverse = np.unique(clusters, return_inverse=True)[1]
        sums = np.bincount(inverse, sums).astype(float)
        sizes = np.bincount(inverse, sizes).astype(float)
    count = sums.size
    if count < 2:
        raise ValueError(f"a bootstrap needs two clusters or more, got {count}")
    kinds, times = np.unique(
        np.round(np.stack([sums, sizes], axis=1), 12), axis=0, return_counts=True
    )
    generator = np.random.default_rng(seed)
    step = max(1, min(resamples, CELLS // len(kinds)))
    means = []
    for start in range(0, resamples, step):
        drawn = generator.multinomial(count, times / count, size=min(step, resamples - start))
        means.append((drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1]))
    return expanded_percentiles(np.concatenate(means), count, confidence)


def expanded_percentiles(
    replicates: ArrayLike, clusters: int, confidence: float = 1 - ALPHA
) -> Interval:
    """The interval of bootstrap replicates of anything, moved outwards for few clusters.

    To Φ(∓t·√(G/(G−1))), t of G−1 degrees (Hesterberg 2015, arXiv 1411.5279, "expanded
    percentile"): the plain percentiles are too narrow.

    Args:
        replicates: the statistic on each bootstrap sample.
        clusters: G that were drawn from, at least two.
        confidence: two-sided.
    """
    t = float(stats.t.ppf((1 + confidence) / 2, clusters - 1))
    tail = float(stats.norm.cdf(-t * math.sqrt(clusters / (clusters - 1))))
    low, high = np.quantile(np.asarray(replicates, dtype=float), [tail, 1 - tail])
    return Interval(float(low), float(high))


def spread_interval(
    values: ArrayLike,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 1 - ALPHA,
) -> tuple[Interval, str]:
    """The bootstrap interval of shares, or Wilson's over clusters where all values are equal.

    Returns:
        The interval, and `cluster-bootstrap` or `wilson-clusters`.
    """
    y = np.asarray(values, dtype=float)
    count = y.size if clusters is None else int(np.unique(clusters).size)
    if count > 1 and float(np.ptp(y)) > 0:
        found = bootstrap_interval(
            y, clusters, weights, seed=seed, resamples=resamples, confidence=confidence
        )
        return found, "cluster-bootstrap"
    return alike_interval(float(y[0]), count, confidence), "wilson-clusters"


def alike_interval(share: float, clusters: int, confidence: float = 1 - ALPHA) -> Interval:
    """Wilson's interval with the clusters as items, for values among which there is no spread."""
    return score_interval(share, clusters, float(stats.norm.ppf((1 + confidence) / 2)))
