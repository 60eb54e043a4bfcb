"""A reward of one's own: right answers count, and short ones count a little more.

In: the response, the row's gold answer, and the row's other fields. Out: a float; 1 or more counts
as right. Named in the recipe as a file, `recipes/custom_reward/reward.py:score`, or as an import
path, `recipes.custom_reward.reward:score`.
"""

from __future__ import annotations

MAX_BONUS = 0.1
LONG = 64  # characters from which on there is no bonus


def score(response: str, gold: str, **row: object) -> float:
    """1 for the gold answer after `####`, plus up to 0.1 for saying it briefly; else 0."""
    answer = response.rpartition("####")[2].strip()
    if "####" not in response or answer != gold:
        return 0.0
    return 1.0 + MAX_BONUS * max(0.0, 1.0 - len(response) / LONG)
