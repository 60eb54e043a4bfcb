"""Control arms: rewards that carry no information, to show that a gain comes from the reward.

In: as any reward. Out: a score that does not depend on correctness (`constant`, `random`), beside
the true `acc`, `pred` and status of the `math` reward, so that curves of accuracy stay honest.
Deterministic: no global random state. `controlled` puts an arm on top of any other reward.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conf.errors import RewardError
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
    verdict = grade_math(response, gold)
    score = _coin(seed, str(id or index), response, p)
    return verdict if verdict.broken else replace(verdict, score=score)


def _coin(seed: int, prompt: str, response: str, p: float) -> float:
    """1.0 with probability `p`, decided by a hash of all three."""
    key = "\x1f".join((str(seed), prompt, response)).encode()
    draw = int.from_bytes(hashlib.sha256(key).digest()[:7], "big") / 2**56
    return float(draw < p)


def controlled(verdict: Verdict, arm: str, response: str, row: Mapping[str, Any]) -> Verdict:
    """A real verdict with the score of a control arm; `acc`, `pred` and status stay the real ones.

    Args:
        verdict: what the recipe's own reward said.
        arm: `constant` or `random`.
        response: the model's text.
        row: the row's fields; `id`, else `index`, decides a random score beside the response.

    Raises:
        RewardError: no such arm.
    """
    if arm == "constant":
        return replace(verdict, score=0.5)
    if arm == "random":
        return replace(
            verdict, score=_coin(0, str(row.get("id") or row.get("index")), response, 0.5)
        )
    raise RewardError(f"no control arm {arm!r}; there are constant, random", "control=none")
