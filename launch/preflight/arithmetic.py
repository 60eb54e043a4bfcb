"""Whole-number helpers for the batch rules: multiples, divisors, the nearest legal value.

In and out: plain integers. Nothing here knows a configuration key.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def ceil_div(value: int, by: int) -> int:
    """The quotient rounded up; `by` is positive."""
    return -(-value // by)


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple that is not below `value`; `multiple` is positive."""
    return ceil_div(value, multiple) * multiple


def step_for(divisor: int, factor: int) -> int:
    """The step s such that `x * factor` is divisible by `divisor` exactly for multiples x of s."""
    return divisor // math.gcd(divisor, factor)


def nearest_multiples(value: int, multiple: int) -> tuple[int, ...]:
    """The positive multiples next to `value`, below and above; `value` itself when it is one."""
    if value > 0 and value % multiple == 0:
        return (value,)
    below = value // multiple * multiple
    above = max(round_up(value, multiple), multiple)
    return (below, above) if below > 0 else (above,)


def nearest_divisors(value: int, of: int) -> tuple[int, ...]:
    """The divisors of `of` next to `value`, below and above; `value` itself when it is one."""
    return nearest_legal(value, lambda candidate: of % candidate == 0, low=1, high=of)


def nearest_legal(
    value: int, legal: Callable[[int], bool], *, low: int, high: int
) -> tuple[int, ...]:
    """The legal integers within [low, high] next to `value`, below and above.

    Returns:
        `(value,)` when it is legal and within bounds, else up to two values, the lower first.
    """
    if low <= value <= high and legal(value):
        return (value,)
    below = next((c for c in range(min(value - 1, high), low - 1, -1) if legal(c)), None)
    above = next((c for c in range(max(value + 1, low), high + 1) if legal(c)), None)
    return tuple(c for c in (below, above) if c is not None)
