"""Which of several similar rows stays, and what is said of the others.

In: pairs of similar positions, and an order of preference. Out: for each row that goes, the row
that stays and stands for it. Greedy in that order, so a row goes only for one that stays and is
itself similar to it: chains of small differences do not swallow what is far from their head.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np


def preference(held_out: np.ndarray) -> np.ndarray:
    """Positions in the order in which they are kept: held-out rows first, then as they came.

    Args:
        held_out: True for rows of a split that is not trained on. They stay, and the training
            rows like them go.
    """
    return np.argsort(~held_out.astype(bool), kind="stable")


def choose(
    similar: Iterable[tuple[int, int, float]], order: Sequence[int] | np.ndarray
) -> dict[int, tuple[int, float]]:
    """For each position that goes: the one that stays, and their similarity.

    Args:
        similar: pairs of positions with their similarity.
        order: all positions, the ones to keep first.
    """
    rank = np.empty(len(order), dtype=np.int64)
    rank[np.asarray(order, dtype=np.int64)] = np.arange(len(order))
    before: dict[int, list[tuple[int, float]]] = defaultdict(list)  # those preferred to each
    for left, right, value in similar:
        first, second = (left, right) if rank[left] < rank[right] else (right, left)
        before[second].append((first, value))
    gone: dict[int, tuple[int, float]] = {}
    for position in sorted(before, key=rank.__getitem__):
        kept = [(int(rank[at]), at, value) for at, value in before[position] if at not in gone]
        if kept:
            _, at, value = min(kept)
            gone[position] = (at, value)
    return gone
