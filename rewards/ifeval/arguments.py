"""What kinds of argument an instruction takes: one reader each, which refuses what does not fit.

In: a value as a data set holds it. Out: the value as the checkers take it, or a `GoldProblem` that
says what was needed. Numbers come as floats from data frames and lists as arrays from Parquet. No
reader fills in a value. Which instruction takes what is said in `instructions` and `ifbench`.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Final

from rewards.ifeval.checks import RELATIONS
from rewards.language_id import code_of, languages

Reader = Callable[[object], Any]
# What separates the options of IFBench, the first of them that is there.
_BETWEEN: Final = ("/", ",", " or ")


class GoldProblem(ValueError):
    """A row asks for something that cannot be checked."""


def count(value: object) -> int:
    """A whole number from 0 on; data frames turn them into floats."""
    whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole or int(value) < 0:  # type: ignore[call-overload]
        raise GoldProblem(f"needs a whole number from 0 on, got {value!r}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def place(value: object) -> int:
    """A position, counted from 1."""
    number = count(value)
    if number < 1:
        raise GoldProblem("counts from 1, got 0")
    return number


def text(value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise GoldProblem(f"needs a text that is not empty, got {value!r}")
    return value


def texts(value: object) -> list[str]:
    """A list of such texts."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise GoldProblem(f"needs a list of texts, got {value!r}")
    return [text(item) for item in value]


def options(value: object) -> list[str]:
    """At least two of them."""
    found = texts(value)
    if len(found) < 2:
        raise GoldProblem(f"needs at least two options, got {found!r}")
    return found


def letter(value: object) -> str:
    """One character."""
    if not isinstance(value, str) or len(value) != 1:
        raise GoldProblem(f"needs one character, got {value!r}")
    return value


def relation(value: object) -> str:
    """How a count stands to its number."""
    if value not in RELATIONS:
        raise GoldProblem(f"needs one of {', '.join(RELATIONS)}, got {value!r}")
    return str(value)


def language(value: object) -> str:
    """A language's code, from its code or English name."""
    code = code_of(text(value))
    if code is None:
        raise GoldProblem(f"no language {value!r}; known: {', '.join(sorted(languages()))}")
    return code


def choices(value: object) -> list[str]:
    """Options in one text, as IFBench words them: `yes/no/maybe`, `a), b)`, `this or that`."""
    whole = text(value)
    between = next((sign for sign in _BETWEEN if sign in whole), None)
    parts = whole.split(between) if between else [whole]
    return options([part.strip() for part in parts if part.strip()])


def percentage(value: object) -> float:
    """A number from 0 to 100."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 100:
        raise GoldProblem(f"needs a percentage from 0 to 100, got {value!r}")
    return float(value)
