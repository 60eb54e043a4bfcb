"""The length rewards `soft_overlong` and `cosine`.

In: a response with the row's `response_tokens`, and for most `max_response_tokens`, which our
reward manager (`rewards/verl_manager.py`) counts; without them there is no verdict, for characters
are not tokens. Out: a `Verdict` whose `acc` is the judged correctness where one is judged. The
formulas are in `shaping`. `soft_overlong` is a penalty to add: `math + soft_overlong`. Kimi's
length reward needs the whole group: it is in `group`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from conf.errors import RewardError
from rewards.shaping import cosine, repetition, soft_overlong
from rewards.verdict import Verdict

if TYPE_CHECKING:
    from rewards.registry import Reward

MANAGER: Final = "the reward manager of rewards/verl_manager.py counts tokens; use it"


def tokens_of(value: object, name: str) -> int:
    """A count of tokens from a row.

    Args:
        value: what the row holds.
        name: its name there.

    Raises:
        RewardError: it is missing or no count. It is never made up from characters.
    """
    if value is None:
        raise RewardError(f"a length reward needs the row's {name}, which is not there", MANAGER)
    whole = not isinstance(value, bool) and isinstance(value, (int, float)) and value == int(value)
    if not whole or int(value) < 0:  # type: ignore[call-overload]
        raise RewardError(f"{name} must be a count of tokens, got {value!r}", MANAGER)
    return int(value)  # type: ignore[call-overload, no-any-return]


def grade_soft_overlong(
    response: str,
    gold: Any,
    *,
    cache_tokens: int,
    max_tokens: int | None = None,
    factor: float = 1.0,
    response_tokens: int | None = None,
    max_response_tokens: int | None = None,
) -> Verdict:
    """DAPO's penalty on responses near the length limit, in [-factor, 0].

    Args:
        response: not read.
        gold: not read.
        cache_tokens: over how many tokens before the limit the penalty grows (DAPO: 4096 of
            20480).
        max_tokens: the limit; None: the run's `max_response_tokens`.
        factor: the whole penalty, ≥ 0.
        response_tokens: from the row.
        max_response_tokens: from the row.

    Raises:
        RewardError: a count is missing.
        ValueError: an option is out of range.
    """
    if factor < 0:
        raise ValueError(f"factor must be ≥ 0, got {factor!r}")
    length = tokens_of(response_tokens, "response_tokens")
    most = max_tokens or tokens_of(max_response_tokens, "max_response_tokens")
    score = factor * soft_overlong(length, most, cache_tokens)
    held = float(score == 0.0)
    return Verdict(
        score,
        held,
        "correct" if held else "wrong",
        detail="" if held else f"{length} of {most} tokens",
    )


@lru_cache(maxsize=64)
def _cached(spec: str, options: tuple[tuple[str, Any], ...]) -> Reward:
    from rewards.registry import load_reward  # the registry names this module

    return load_reward(spec, dict(options))


def inner_reward(spec: str, options: Mapping[str, Any] | None) -> Reward:
    """The reward that another one wraps, loaded once where its options can be a key.

    Raises:
        RewardError: it does not load.
    """
    from rewards.registry import load_reward

    pairs = tuple(sorted((options or {}).items()))
    try:
        hash(pairs)
    except TypeError:
        return load_reward(spec, options)
    return _cached(spec, pairs)


def grade_cosine(
    response: str,
    gold: Any,
    *,
    reward: str = "math",
    reward_options: Mapping[str, Any] | None = None,
    right_at_zero: float = 1.0,
    right_at_max: float = 0.5,
    wrong_at_zero: float = -1.0,
    wrong_at_max: float = -0.5,
    exceeded: float = -1.0,
    max_tokens: int | None = None,
    repetition_penalty: float = 0.0,
    repetition_n: int = 20,
    response_tokens: int | None = None,
    max_response_tokens: int | None = None,
    truncated: bool | None = None,
    **row: Any,
) -> Verdict:
    """A right answer earns more when short, a wrong one loses less when long.

    arXiv 2502.03373, section 4: `shaping.cosine` of the length, from one pair of values for right
    and one for wrong; past the limit, `exceeded`. Values between lie between the pair's.

    Args:
        response: the model's text.
        gold: the row's ground truth, for the inner reward.
        reward: the reward that says whether the answer is right (`acc` = 1).
        reward_options: its options.
        right_at_zero: score of a right answer of length 0.
        right_at_max: of a right one of the longest length.
        wrong_at_zero: of a wrong one of length 0.
        wrong_at_max: of a wrong one of the longest length.
        exceeded: of a response that was cut off, right or wrong.
        max_tokens: the longest length; None: the run's `max_response_tokens`.
        repetition_penalty: added to a wrong answer only, times its share of repeated n-grams; ≤ 0.
        repetition_n: their length in words.
        response_tokens: from the row.
        max_response_tokens: from the row.
        truncated: from the row; without it, a response of `max_tokens` counts as cut off.
        row: the row's other fields, for the inner reward.

    Raises:
        RewardError: a count is missing.
    """
    length = tokens_of(response_tokens, "response_tokens")
    most = max_tokens or tokens_of(max_response_tokens, "max_response_tokens")
    counts = {
        "response_tokens": length,
        "max_response_tokens": max_response_tokens,
        "truncated": truncated,
    }
    verdict = inner_reward(reward, reward_options).judge(response, gold, {**row, **counts})
    if verdict.broken:
        return verdict
    right = verdict.acc == 1.0
    cut = length > most or (length == most if truncated is None else bool(truncated))
    if cut:
        shaped = exceeded
    elif right:
        shaped = cosine(length, most, at_zero=right_at_zero, at_max=right_at_max)
    else:
        shaped = cosine(length, most, at_zero=wrong_at_zero, at_max=wrong_at_max)
    repeated = 0.0
    if not right:
        repeated = repetition(response.lower().split(), repetition_n, repetition_penalty)
    components = {**verdict.components, "cosine": shaped, "repetition": repeated}
    return replace(verdict, score=shaped + repeated, components=components)
