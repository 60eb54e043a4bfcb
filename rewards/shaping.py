"""Formulas that shape a reward by length or repetition: numbers in, a number out.

In: counts of tokens, whether the answer is right, words. Out: a float within stated bounds: past
its last knot every formula is clamped, never continued. Sources are with each function; where
papers leave a case open, the docstring says what is done. Lengths are tokens: a caller that has
only characters must not call this. Graders over these formulas are in `lengths` and `repetition`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def soft_overlong(tokens: int, max_tokens: int, cache_tokens: int) -> float:
    """DAPO's soft overlong punishment (arXiv 2503.14476, eq. 13), in [-1, 0].

    With L = `tokens`, Lmax = `max_tokens`, Lc = `cache_tokens`: 0 if L ≤ Lmax − Lc;
    ((Lmax − Lc) − L) / Lc up to Lmax; −1 above. verl's own is not clipped at −1.

    Args:
        tokens: the response's length.
        max_tokens: the length from which on the punishment is whole.
        cache_tokens: over how many tokens it grows, in 1…max_tokens.

    Raises:
        ValueError: a length is out of range.
    """
    if tokens < 0 or not 0 < cache_tokens <= max_tokens:
        raise ValueError(
            f"needs tokens ≥ 0 and 0 < cache_tokens ≤ max_tokens, got {tokens}, {cache_tokens}, "
            f"{max_tokens}"
        )
    free = max_tokens - cache_tokens
    if tokens <= free:
        return 0.0
    return max(-1.0, (free - tokens) / cache_tokens)


def cosine(tokens: int, max_tokens: int, *, at_zero: float, at_max: float) -> float:
    """The cosine of a length (arXiv 2502.03373, section 4.1), between its two values.

    lo + ½ (hi − lo) (1 + cos(π · tokens / max_tokens)), with hi = `at_zero` and lo = `at_max`. At
    more than `max_tokens` it stays at `at_max`: the cosine itself would rise again.

    Args:
        tokens: the response's length.
        max_tokens: the longest length.
        at_zero: the value at length 0.
        at_max: the value at `max_tokens`.

    Raises:
        ValueError: a length is out of range.
    """
    if tokens < 0 or max_tokens <= 0:
        raise ValueError(f"needs tokens ≥ 0 and max_tokens > 0, got {tokens}, {max_tokens}")
    share = min(tokens, max_tokens) / max_tokens
    return at_max + 0.5 * (at_zero - at_max) * (1.0 + math.cos(math.pi * share))


def repetition(words: Sequence[str], n: int, penalty: float) -> float:
    """The n-gram repetition penalty, in [penalty, 0].

    P · (1 − |distinct n-grams| / |n-grams|) with P = `penalty` ≤ 0; 0 where there are fewer than
    n words. The share of repeated n-grams is that of arXiv 2502.03373, section 4.3.

    Args:
        words: the units that are counted, in order.
        n: length of an n-gram.
        penalty: what a text that repeats itself without end approaches.

    Raises:
        ValueError: `n` < 1 or `penalty` > 0.
    """
    if n < 1 or penalty > 0:
        raise ValueError(f"needs n ≥ 1 and penalty ≤ 0, got n={n!r}, penalty={penalty!r}")
    total = len(words) - n + 1
    if total < 1:
        return 0.0
    distinct = len({tuple(words[i : i + n]) for i in range(total)})
    return penalty * (1.0 - distinct / total) if distinct < total else 0.0
