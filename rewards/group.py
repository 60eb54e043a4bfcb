"""Rewards that look at a prompt's whole group: what a response gets depends on its siblings.

In: the group's flat verdicts (`score`, `acc`, `status`, `response_tokens`, …), dropped samples left
out. Out: one new score for each. A group function is `(verdicts, **options) -> list of floats`; the
trainer calls it once the group is whole, before advantages. It is named as any reward is. Judges no
text: that is done by then.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from conf.errors import RewardError
from rewards.loading import defined, load_function, nearest

Flat = Mapping[str, Any]
GROUP_BUILT_IN: Final[Mapping[str, str]] = {"kimi_length": "rewards.group:kimi_length"}


def kimi_length(verdicts: Sequence[Flat], *, weight: float = 1.0) -> list[float]:
    """Score plus `weight` times Kimi k1.5's length reward (2501.12599, section 2.3.3).

    λ = 0.5 − (len − min)/(max − min) over the group; right → λ, wrong → min(0, λ). Where all are
    equally long λ is 0, as the paper has it. Lengths are counts of tokens.
    """
    tokens = [float(one["response_tokens"]) for one in verdicts]
    shortest, longest = min(tokens), max(tokens)
    scores = []
    for one, length in zip(verdicts, tokens, strict=True):
        factor = 0.5 - (length - shortest) / (longest - shortest) if longest > shortest else 0.0
        bonus = factor if one["acc"] >= 1.0 else min(0.0, factor)
        scores.append(float(one["score"]) + weight * bonus)
    return scores


def load_group(
    spec: str, options: Mapping[str, Any] | None = None
) -> Callable[[Sequence[Flat]], list[float]]:
    """Load a group function with its options bound.

    Args:
        spec: a name of `GROUP_BUILT_IN`, `path/to/file.py:function` or `package.module:function`.
        options: keyword arguments for each call.

    Raises:
        RewardError: it does not load, or has no such option; when called: what it returns is not
            one finite number for each verdict.
    """
    target = GROUP_BUILT_IN.get(spec, spec)
    if ":" not in target:
        raise RewardError(f"no group reward named {spec!r}", fix=nearest(spec, GROUP_BUILT_IN))
    function = load_function(target, spec)
    options = dict(options or {})
    parameters = inspect.signature(function).parameters.values()
    named = [p.name for p in parameters][1:]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for name in options:
            if name not in named:
                raise RewardError(
                    f"group reward {spec!r} has no option {name!r} ({defined(function)})",
                    fix=nearest(name, named) if named else "it takes none",
                )

    def scored(verdicts: Sequence[Flat]) -> list[float]:
        scores = [float(score) for score in function(verdicts, **options)]
        if len(scores) != len(verdicts) or not all(map(math.isfinite, scores)):
            raise RewardError(
                f"group reward {spec!r} gave {scores!r:.200} for {len(verdicts)} verdicts "
                f"({defined(function)})",
                fix="return one finite number for each verdict",
            )
        return scores

    return scored
