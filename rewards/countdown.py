"""The `countdown` reward: an expression over given numbers that makes the target.

In: a response with an anchored expression (`<answer>(1 + 2) / 3</answer>`, with or without
`= target`), and the target and numbers: as gold `{"target": …, "numbers": […]}` (TinyZero's rows;
JSON text in those of `data_prep`), or the target as gold and the numbers in the row (`nums` or
`numbers`). Out: a `Verdict` with the component `legal` (each number used as often as it was given).
Exact fractions, no evaluation of code. `solve` finds an expression, to see that a row has one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import combinations
from math import prod
from typing import Any, Final, NamedTuple

from rewards.expression import NotArithmetic, evaluate
from rewards.extract import MAX_SHOWN, last_answer
from rewards.verdict import Verdict, gold_error

MAX_NUMBERS: Final = 20
_NUMBERS = re.compile(r"\d+", re.ASCII)


class Task(NamedTuple):
    """What is asked."""

    target: Fraction
    numbers: tuple[Fraction, ...]


def read_task(gold: Any, nums: Any = None, numbers: Any = None) -> Task:
    """The task of a row.

    Raises:
        ValueError: target or numbers are missing or no whole numbers.
    """
    if isinstance(gold, str) and gold.lstrip().startswith("{"):
        gold = json.loads(gold)
    target = gold
    given = nums if nums is not None else numbers
    if isinstance(gold, Mapping):
        target, given = gold.get("target"), gold.get("numbers", given)
    if given is None or target is None:
        raise ValueError("needs a target and the numbers")
    if isinstance(given, str):
        given = _NUMBERS.findall(given)
    try:
        chosen = tuple(_whole(item) for item in given)
        wanted = _whole(target)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if not 1 <= len(chosen) <= MAX_NUMBERS:
        raise ValueError(f"{len(chosen)} numbers, need 1 to {MAX_NUMBERS}")
    return Task(wanted, chosen)


def _whole(value: Any) -> Fraction:
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is no number")
    number = Fraction(value.strip() if isinstance(value, str) else int(value))
    if number.denominator != 1 or number != Fraction(str(value)):
        raise ValueError(f"{value!r} is no whole number")
    return number


def grade_countdown(
    response: str,
    gold: Any,
    *,
    nums: Any = None,
    numbers: Any = None,
    use_all: bool = True,
    legal_score: float = 0.0,
) -> Verdict:
    """Judge one response by its last anchored expression; one that is taken back is none.

    Args:
        response: the model's text.
        gold: `{"target": …, "numbers": […]}`, or the target.
        nums: the row's numbers, where gold is only the target.
        numbers: the same under its other name.
        use_all: every number must be used; False: each at most as often as given.
        legal_score: the score of an expression that keeps to the numbers and misses the target,
            in [0, 1); its `acc` stays 0.

    Raises:
        ValueError: `legal_score` is outside [0, 1).
    """
    if not 0.0 <= legal_score < 1.0:
        raise ValueError(f"legal_score must lie in [0, 1), got {legal_score!r}")
    try:
        task = read_task(gold, nums, numbers)
    except ValueError as error:
        return gold_error(f"countdown: {error}")
    answer = last_answer(response)
    if answer.problem:
        return _miss("unparseable", "", answer.problem)
    left, equals, right = " ".join(answer.text.split()).partition("=")
    shown = left.strip()[:MAX_SHOWN]
    try:
        expression = evaluate(left)
        claimed = evaluate(right).value if equals else task.target
    except NotArithmetic as error:
        return _miss("unparseable", shown, str(error))
    used, given = Counter(expression.numbers), Counter(task.numbers)
    if used != given if use_all else used - given:
        return _miss("wrong", shown, "does not use the given numbers, each once")
    if expression.value == task.target == claimed:
        return Verdict(1.0, 1.0, "correct", shown, {"legal": 1.0})
    reason = (
        f"makes {expression.value}" if expression.value != task.target else "claims another sum"
    )
    return Verdict(legal_score, 0.0, "wrong", shown, {"legal": 1.0}, reason)


def _miss(status: Any, pred: str, detail: str) -> Verdict:
    return Verdict(0.0, 0.0, status, pred, {"legal": 0.0}, detail)


# A number, or how one is made of two others: the sign and both sides.
_Tree = Fraction | tuple[str, Any, Any]
_NEAR: Final = 1e-6  # floats this close are looked at exactly
_ROUNDING: Final = 1e-14  # of the largest value on the way
_ZERO: Final = 1e-9  # nothing is divided by less


def _written(tree: _Tree) -> str:
    if isinstance(tree, Fraction):
        return str(tree)
    sign, left, right = tree
    return f"({_written(left)} {sign} {_written(right)})"


def _joined(a: float, b: float, left: _Tree, right: _Tree) -> Iterator[tuple[float, _Tree]]:
    yield a + b, ("+", left, right)
    yield a - b, ("-", left, right)
    yield b - a, ("-", right, left)
    yield a * b, ("*", left, right)
    if abs(b) > _ZERO:
        yield a / b, ("/", left, right)
    if abs(a) > _ZERO:
        yield b / a, ("/", right, left)


def solve(task: Task, *, use_all: bool = True) -> str | None:
    """An expression that makes the target, or None if there is none. Up to 5 numbers are quick.

    Searched in floats, and what they come near to is made sure of in fractions.
    """
    target = float(task.target)
    near = max(_NEAR, _ROUNDING * float(prod(task.numbers)))

    def makes_it(value: float, tree: _Tree) -> str | None:
        if abs(value - target) > near:
            return None
        text = _written(tree)
        try:
            return text if evaluate(text).value == task.target else None
        except NotArithmetic:  # a division by what is zero, and was not quite one in floats
            return None

    def search(values: list[float], trees: list[_Tree]) -> str | None:
        if len(values) == 1 or not use_all:
            for value, tree in zip(values, trees, strict=True):
                if (found := makes_it(value, tree)) is not None:
                    return found
        last = use_all and len(values) == 2
        for i, j in combinations(range(len(values)), 2):
            rest = [value for k, value in enumerate(values) if k not in (i, j)]
            others = [tree for k, tree in enumerate(trees) if k not in (i, j)]
            for value, tree in _joined(values[i], values[j], trees[i], trees[j]):
                found = makes_it(value, tree) if last else search([*rest, value], [*others, tree])
                if found is not None:
                    return found
        return None

    return search([float(number) for number in task.numbers], list(task.numbers))
