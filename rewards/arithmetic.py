"""The `arithmetic` reward: sums whose answer is one exact number, and whose steps must hold.

In: a response with an anchored answer, and as gold a number or the expression that was asked
(`17+25`). Out: a `Verdict` with the components `answer` and `steps`, the share of the equalities
stated in the response (`7+5=12`) that hold; 1 where none is stated. The family: the generated
arithmetic of `data_prep`, chains of sums, and any task with a numeric answer and written working.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from rewards.exact import MAX_SHOWN
from rewards.expression import MAX_CHARS, NotArithmetic, evaluate
from rewards.extract import find_all
from rewards.numbers import parse_number
from rewards.verdict import Verdict, correct, gold_error, unparseable, wrong

MAX_STEPS: Final = 200
_READ: Final = 20_000  # characters of working that are read
# Digits, operators and brackets around an equals sign; the digits after it.
_LEFT = re.compile(r"[\d.+\-*/×÷−·()\s]*$", re.ASCII)
_RIGHT = re.compile(r"[ \t]*(-?\d+(?:\.\d+)?)", re.ASCII)
_RIGHT_SUM = re.compile(r"[\d.+\-*/×÷−·() \t]+", re.ASCII)
_OPERATOR = re.compile(r"\d\s*\)*\s*[-+*/×÷−·]")


def stated(text: str) -> list[bool]:
    """Whether each `expression = number` in a text holds, in order; the first 200.

    In a chain `a = b = c` each link counts. What is no expression of numbers states nothing.
    """
    results: list[bool] = []
    text = text[:_READ]
    start = 0
    for position in (m.start() for m in re.finditer("=", text)):
        if len(results) == MAX_STEPS:
            break
        piece = text[max(start, position - MAX_CHARS) : position].rpartition("\n")[2]
        left = _LEFT.search(piece)
        right = _RIGHT.match(text, position + 1)
        start = position + 1
        if left is None or right is None or not _OPERATOR.search(left[0]):
            continue
        try:
            value = evaluate(left[0].lstrip(".) ")).value
            results.append(value == Fraction(right[1]) or value == _sum_at(text, position + 1))
        except NotArithmetic:
            continue
    return results


def _sum_at(text: str, start: int) -> Fraction | None:
    """The value of the longest text of operators and digits from `start` on, if it has one."""
    match = _RIGHT_SUM.match(text, start, start + MAX_CHARS)
    try:
        return evaluate(match[0].rstrip(". ")).value if match else None
    except NotArithmetic:
        return None


def _gold(gold: Any) -> Fraction | None:
    if isinstance(gold, bool):
        return None
    text = str(gold).strip()
    number = parse_number(text)
    if number is not None and not number.percent:
        return number.value
    try:
        return evaluate(text).value
    except NotArithmetic:
        return None


def grade_arithmetic(response: str, gold: Any, *, steps_weight: float = 0.0) -> Verdict:
    """Judge one response by its last anchored answer.

    Args:
        response: the model's text.
        gold: a number, or an expression with one value.
        steps_weight: how much of a right answer's score its false steps cost, in [0, 1]; a wrong
            answer scores 0 whatever its steps, so true steps cannot be farmed.

    Raises:
        ValueError: `steps_weight` is outside [0, 1].
    """
    if not 0.0 <= steps_weight <= 1.0:
        raise ValueError(f"steps_weight must lie in [0, 1], got {steps_weight!r}")
    value = _gold(gold)
    if value is None:
        return gold_error(f"gold {str(gold)[:MAX_SHOWN]!r} is neither a number nor an expression")
    verdict = _answer(response, value)
    links = stated(response)
    steps = sum(links) / len(links) if links else 1.0
    return replace(
        verdict,
        score=verdict.acc * (1.0 - steps_weight * (1.0 - steps)),
        components={"answer": verdict.acc, "steps": steps},
    )


def _answer(response: str, value: Fraction) -> Verdict:
    found = find_all(response)
    if not found:
        return unparseable("no \\boxed{}, ####, 'answer is' or <answer>")
    text = found[-1].text
    number = parse_number(text)
    if number is None or number.percent:
        return unparseable("the answer is not one number", text[:MAX_SHOWN])
    return correct(str(number)) if number.value == value else wrong(str(number)[:MAX_SHOWN])
