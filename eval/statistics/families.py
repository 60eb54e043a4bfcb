"""Many verdicts at once: the false discovery rate, and what each test had to reach.

In: p-values. Out: adjusted p-values and levels. The adjustment is scipy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from eval.statistics.intervals import ALPHA


@dataclass(frozen=True, slots=True)
class Corrected:
    """One test within its family.

    Attributes:
        p_adjusted: Benjamini-Hochberg; at most alpha exactly when the test is rejected.
        level: the p-value that this test had to stay at or below, given all the others.
    """

    p_adjusted: float
    level: float


def correct(p_values: Sequence[float], alpha: float = ALPHA) -> list[Corrected]:
    """Benjamini and Hochberg 1995 (JRSS B 57:289-300) over a family of tests.

    It keeps the expected share of wrong verdicts among the verdicts given at or below alpha; when
    no model differs at all, so is the chance of any verdict. The level of a test is alpha·R/m,
    where R is the number of rejections were its own p-value 0: the test is rejected exactly when
    its p-value is at or below it. A lone test keeps alpha.

    Args:
        p_values: each in [0, 1].
        alpha: wanted false discovery rate.
    """
    if not p_values:
        return []
    p = np.array(p_values, dtype=float)
    adjusted = stats.false_discovery_control(p, method="bh")
    found = []
    for position in range(p.size):
        others = np.sort(np.delete(p, position))
        # With p = 0 in the first place, the others hold the ranks 2 to m.
        held = np.flatnonzero(others <= alpha * np.arange(2, p.size + 1) / p.size)
        rejected = int(held[-1]) + 2 if held.size else 1
        found.append(Corrected(float(adjusted[position]), alpha * rejected / p.size))
    return found
