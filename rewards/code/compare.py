"""Compare what a program gave with what was expected, outside the sandbox.

In: output bytes and expected text, or a plain value and an expected one. Out: same or not. Values
are of built-in types, decoded by `sandbox.plain`, so that `==` is Python's own. Time is bounded by
the size of both.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final, Literal, get_args

from rewards.sandbox.plain import Handle

Mode = Literal["lines", "tokens", "exact"]
MODES: Final[tuple[str, ...]] = get_args(Mode)
_NUMBER = re.compile(r"[+-]?(?:\d{1,4000}\.?\d{0,4000}|\.\d{1,4000})(?:[eE][+-]?\d{1,3})?")


def _same_token(got: str, wanted: str, atol: float) -> bool:
    if got == wanted:
        return True
    fractional = any(mark in token for token in (got, wanted) for mark in ".eE")
    if not (fractional and _NUMBER.fullmatch(got) and _NUMBER.fullmatch(wanted)):
        return False
    left, right = Decimal(got), Decimal(wanted)
    return left == right or abs(left - right) <= Decimal(atol) * max(Decimal(1), abs(right))


def _same_tokens(got: str, wanted: str, atol: float) -> bool:
    left, right = got.split(), wanted.split()
    return len(left) == len(right) and all(
        _same_token(a, b, atol) for a, b in zip(left, right, strict=True)
    )


def same_output(output: bytes, expected: str, mode: Mode, atol: float) -> bool:
    """Whether a program printed what it should.

    Args:
        output: its standard output.
        expected: the row's text.
        mode: `exact`; `lines`: white space at line ends and blank lines at the end do not count,
            and numbers with a decimal point or exponent are compared as numbers; `tokens`: only
            the words and numbers count, in order.
        atol: largest difference of such numbers, relative above 1.
    """
    text = output.decode(errors="replace").replace("\r\n", "\n")
    expected = expected.replace("\r\n", "\n")
    if mode == "exact":
        return text == expected
    if mode == "tokens":
        return _same_tokens(text, expected, atol)
    got, wanted = text.strip().split("\n"), expected.strip().split("\n")
    return len(got) == len(wanted) and all(
        a.strip() == b.strip() or _same_tokens(a, b, atol) for a, b in zip(got, wanted, strict=True)
    )


def same_value(got: Any, expected: Any, atol: float) -> bool:
    """Whether a function returned what it should: a tuple equals the list of the same elements.

    Args:
        got: a decoded plain value.
        expected: the row's; JSON has no tuples and no keys but strings. Of an object that is not
            plain, which only a reference can give, the class's name is compared.
        atol: largest difference of floats, relative above 1.
    """
    if isinstance(expected, Handle):  # a reference's match object, say: no more is known of it
        return isinstance(got, Handle) and got.kind == expected.kind
    if isinstance(got, list | tuple) and isinstance(expected, list | tuple):
        return len(got) == len(expected) and all(
            same_value(a, b, atol) for a, b in zip(got, expected, strict=True)
        )
    if isinstance(got, dict) and isinstance(expected, dict):
        if len(got) != len(expected):
            return False
        if all(isinstance(key, str) for key in expected):
            got = {key if isinstance(key, str) else str(key): value for key, value in got.items()}
        return got.keys() == expected.keys() and all(
            same_value(got[key], expected[key], atol) for key in expected
        )
    numbers = isinstance(got, int | float) and isinstance(expected, int | float)
    if numbers and (isinstance(got, float) or isinstance(expected, float)):
        return _same_number(got, expected, atol)
    return bool(got == expected)


def _same_number(got: float, expected: float, atol: float) -> bool:
    try:
        if got == expected or (math.isnan(got) and math.isnan(expected)):
            return True
        return math.isclose(got, expected, rel_tol=atol, abs_tol=atol)
    except OverflowError:  # an int beyond any float
        return False
