"""Control arms: rewards that carry no information, to show that a gain comes from the reward.

In: as any reward. Out: a score that does not depend on correctness (`constant`, `random`), beside
the true `acc`, `pred` and status of the `math` reward, so that curves of accuracy stay honest.
Deterministic: no global random state.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from rewards.math import grade_math
from rewards.verdict import Verdict


def grade_constant(response: str, gold: str, *, value: float = 0.5) -> Verdict:
    """The same score for each response; a group's advantages are then all zero.

    Args:
        response: the model's text, judged for `acc` only.
        gold: the row's ground truth.
        value: the score.
    """
    verdict = grade_math(response, gold)
    return verdict if verdict.broken else replace(verdict, score=float(value))


def grade_random(
    response: str, gold: str, *, seed: int = 0, p: float = 0.5, id: str = "", index: str = ""
) -> Verdict:
    """Score 1 with probability `p`, else 0, by a hash of seed, prompt and response.

    Args:
        response: the model's text; equal responses to one prompt get equal scores.
        gold: the row's ground truth.
        seed: another seed, another draw.
        p: probability of a 1, in [0, 1].
        id: the row's stable id, from `extra_info`.
        index: the row's index, used when it has no id.

    Raises:
        ValueError: `p` is outside [0, 1].
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p must lie in [0, 1], got {p!r}")
    key = "\x1f".join((str(seed), str(id or index), response)).encode()
    draw = int.from_bytes(hashlib.sha256(key).digest()[:7], "big") / 2**56
    verdict = grade_math(response, gold)
    return verdict if verdict.broken else replace(verdict, score=float(draw < p))
