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

from rewards.expression import MAX_CHARS, NotArithmetic, evaluate
from rewards.extract import MAX_SHOWN, last_answer
from rewards.numbers import parse_number
from rewards.verdict import Verdict, correct, gold_error, unparseable, wrong

MAX_STEPS: Final = 200
_READ: Final = 20_000  # characters of working that are read
_CHARS: Final = r"[\d.+\-*/×÷−·() \t]"
_LEFT = re.compile(rf"{_CHARS}*$", re.ASCII)
_RIGHT = re.compile(rf"{_CHARS}+", re.ASCII)
_NUMBER = re.compile(r"[ \t]*(-?\d+(?:\.\d+)?)", re.ASCII)
# Where one statement ends and the next begins: after a full stop, or between two numbers.
_BOUNDARY = re.compile(r"(?<=[\d)])[ \t]+(?=[\d(])|\.(?=\s|$)")
_OPERATORS: Final = "+-*/×÷−·"


def _left(text: str) -> str:
    """The expression that a text ends with, "" where it ends with none."""
    match = _LEFT.search(text)
    if match is None:
        return ""
    before, piece = text[: match.start()], _BOUNDARY.split(match[0])[-1].strip()
    if len(piece) == len(match[0].strip()):  # the piece begins where the run does
        if before and before[-1].isalnum() and not match[0][:1].isspace():
            return ""  # f(2) = 4
        if before.rstrip()[-1:].isalpha() and piece[:1] in tuple(_OPERATORS):
            return ""  # 4 apples + 2 = 6
    return piece


def _has_operator(piece: str) -> bool:
    return any(char in _OPERATORS for char in piece[1:])


def _right(text: str, start: int) -> tuple[Fraction, bool] | None:
    """The value of what follows an equals sign, and whether it was more than a number."""
    match = _RIGHT.match(text, start, start + MAX_CHARS)
    if match is None:
        return None
    piece = _BOUNDARY.split(match[0])[0].strip()
    try:
        return evaluate(piece).value, _has_operator(piece)
    except NotArithmetic:
        number = _NUMBER.match(text, start)  # "5 - that is all"
        return (Fraction(number[1]), False) if number else None


def stated(text: str) -> list[bool]:
    """Whether each `expression = number` in a text holds, in order; the first 200.

    In a chain `a = b = c` each link counts. A link with no operator on either side states nothing.
    """
    results: list[bool] = []
    text = text[:_READ]
    start = 0
    for position in (m.start() for m in re.finditer("=", text)):
        if len(results) == MAX_STEPS:
            break
        piece = _left(text[max(start, position - MAX_CHARS) : position].rpartition("\n")[2])
        start = position + 1
        right = _right(text, position + 1)
        if not piece or right is None or not (_has_operator(piece) or right[1]):
            continue
        try:
            results.append(evaluate(piece).value == right[0])
        except NotArithmetic:
            continue
    return results


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
    """Judge one response by its last anchored answer; one that is taken back is none.

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
    answer = last_answer(response)
    if answer.problem:
        return unparseable(answer.problem)
    number = parse_number(answer.text)
    if number is None or number.percent:
        return unparseable("the answer is not one number", answer.text[:MAX_SHOWN])
    return correct(str(number)) if number.value == value else wrong(str(number)[:MAX_SHOWN])
