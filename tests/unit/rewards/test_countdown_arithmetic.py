r"""Expressions, the `countdown` reward and the `arithmetic` reward, on values worked by hand.

1. An expression has its exact value, or is refused; nothing runs code or takes long.
2. Countdown: each number once, the target hit; near misses of each kind are named.
3. `solve` finds an expression where there is one, and none where there is none.
4. Arithmetic: the answer decides, false steps cost, true steps cannot be farmed.
"""

from __future__ import annotations

import random
import time
from fractions import Fraction
from typing import Any

import pytest

from rewards.arithmetic import grade_arithmetic, stated
from rewards.countdown import grade_countdown, read_task, solve
from rewards.expression import NotArithmetic, evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 - 3 - 2", 3),
        ("8 / 4 / 2", 1),
        ("2 × (7 − 3) ÷ 8", 1),
        (r"\left(1 + 2\right) \times 3 \div 9", 1),
        ("-3 + 5", 2),
        ("2 * -3", -6),
        ("--3", 3),
        ("1/3 + 1/6", Fraction(1, 2)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("$[1 + 1] * 2$", 4),
    ],
)
def test_value(text: str, value: Any) -> None:
    assert evaluate(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "1 +", "* 1", "(1", "1)", "1 2", "2(3)", "2**3", "2^3", "x", "1/0", "1/(2-2)"),
        *("1.2.3", "2//1", "1e9", "__import__('os')", "9" * 16),
        *("(" * 60 + "1" + ")" * 60, "1+" * 300 + "1"),
    ],
)
def test_no_expression(text: str) -> None:
    with pytest.raises(NotArithmetic):
        evaluate(text)


def test_random_expressions_have_pythons_value() -> None:
    draw = random.Random(3)

    def grow(depth: int) -> str:
        if depth == 0:
            return f"Fraction({draw.randint(1, 99)})"
        return f"({grow(depth - 1)} {draw.choice('+-*')} {grow(draw.randint(0, depth - 1))})"

    for _ in range(200):
        text = grow(3)
        expected = eval(text, {"Fraction": Fraction})  # our own text, not a model's
        assert evaluate(text.replace("Fraction", "")).value == expected


GOLD = {"target": 55, "numbers": [96, 7, 37, 74]}
SOLVED = solve(read_task(GOLD))


@pytest.mark.parametrize(
    ("answer", "status", "legal"),
    [
        (f"{SOLVED}", "correct", 1.0),
        (f"{SOLVED} = 55", "correct", 1.0),
        (f"{SOLVED} = 54", "wrong", 1.0),
        ("96 + 7 + 37 + 74", "wrong", 1.0),
        ("55", "wrong", 0.0),
        ("74 - 37 + 7", "wrong", 0.0),  # not all
        ("96 - 37 - 7 + 74 - 74", "wrong", 0.0),  # one twice
        ("96 - 41", "wrong", 0.0),  # a number of its own
        ("967 - 37 - 74", "wrong", 0.0),  # two joined to one
        ("96 ** 7", "unparseable", 0.0),
        ("55; import os", "unparseable", 0.0),
        ("", "unparseable", 0.0),
    ],
)
def test_countdown(answer: str, status: str, legal: float) -> None:
    verdict = grade_countdown(f"<think>…</think>\n<answer>{answer}</answer>", GOLD)
    assert (verdict.status, verdict.components) == (status, {"legal": legal})
    assert verdict.score == verdict.acc == float(status == "correct")


def test_countdown_options_and_other_row_formats() -> None:
    some = {"target": 44, "numbers": [96, 7, 37, 74]}
    response = "<answer>37 + 7</answer>"
    assert grade_countdown(response, some).status == "wrong"
    assert grade_countdown(response, some, use_all=False).status == "correct"
    missed = grade_countdown("<answer>37 + 7</answer>", 45, nums=[37, 7], legal_score=0.1)
    assert (missed.score, missed.acc, missed.status) == (0.1, 0.0, "wrong")
    assert grade_countdown(response, "44", numbers="37,7").status == "correct"
    assert grade_countdown("no answer", some).status == "unparseable"
    assert grade_countdown(f"{response} is it. No.", some, use_all=False).status == "correct"
    taken_back = grade_countdown(f"{response}\nNo wait, that is wrong.", some, use_all=False)
    assert (taken_back.status, taken_back.components) == ("unparseable", {"legal": 0.0})
    with pytest.raises(ValueError, match="legal_score"):
        grade_countdown(response, some, legal_score=1.0)


@pytest.mark.parametrize(
    "gold",
    [
        *(None, 24, {"target": 24}, {"numbers": [1, 2]}, {"target": "x", "numbers": [1]}),
        *({"target": 1, "numbers": []}, {"target": 1.5, "numbers": [1]}),
        *({"target": 1, "numbers": [True]}, {"target": 1, "numbers": ["a"]}),
    ],
)
def test_a_defective_task_is_a_gold_error(gold: Any) -> None:
    assert grade_countdown("<answer>1</answer>", gold).status == "gold_error"


def test_solve_on_puzzles_known_otherwise() -> None:
    assert evaluate(solve(read_task(24, [3, 3, 8, 8])) or "").value == 24  # 8/(3 - 8/3)
    assert solve(read_task(24, [1, 1, 1, 1])) is None
    assert solve(read_task(5, [2, 3, 7]), use_all=False) is not None
    assert solve(read_task(2, [1])) is None
    assert solve(read_task(2, [1, 1, 50])) is None
    assert solve(read_task(2, [1, 1, 50]), use_all=False) == "(1 + 1)"


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("7+5=12 #### 42", [True]),
        ("2*3 = 6 = 5+1 = 7", [True, True, False]),
        ("1+5=2*3; 4+4=9-1. ok 7+5=12 (carry) 2+2=5", [True, True, True, False]),
        ("x = 3, f(2) = 4, x = 2 + 2", []),
        ("so -3 + 5 = 2\n-3 + 5 = 2", [True]),
        ("(1 + 2) × 3 = 9; 10 ÷ 4 = 2.5", [True, True]),
        ("1+1=3. 2 + 2 = 4.", [False, True]),
        ("3+2=5 - that is all", [True]),
        ("4 apples + 2 = 6", []),
        ("12 = 12", []),
    ],
)
def test_stated_equalities(text: str, links: list[bool]) -> None:
    assert stated(text) == links


@pytest.mark.parametrize(
    ("response", "gold", "score", "steps"),
    [
        ("7+5=12 #### 42", "42", 1.0, 1.0),
        ("7+5=12 #### 42", "17+25", 1.0, 1.0),
        ("#### 1,234", 1234, 1.0, 1.0),
        ("7+5=13 #### 42", "42", 0.5, 0.0),
        ("7+5=12 1+1=3 #### 42", "42", 0.75, 0.5),
        ("7+5=12 " * 50 + "#### 43", "42", 0.0, 1.0),
        ("42", "42", 0.0, 1.0),
        ("7+5=12 #### 42\nNo wait, 43", "42", 0.0, 1.0),
    ],
)
def test_arithmetic(response: str, gold: Any, score: float, steps: float) -> None:
    verdict = grade_arithmetic(response, gold, steps_weight=0.5)
    assert verdict.score == pytest.approx(score)
    assert verdict.components == {"answer": float(score > 0), "steps": steps}
    assert grade_arithmetic(response, gold).score == verdict.acc


@pytest.mark.parametrize("gold", ["", "x", None, True, "1/0", "50%"])
def test_arithmetic_gold_errors(gold: Any) -> None:
    assert grade_arithmetic("#### 1", gold).status == "gold_error"


def test_hostile_texts_cost_little_time() -> None:
    begun = time.process_time()
    for text in ("1+" * 50_000, "=" * 100_000, "1=" * 50_000, "(" * 100_000, " " * 100_000 + "="):
        grade_arithmetic(text + " #### 1", "1")
        grade_countdown(f"<answer>{text}</answer>", GOLD)
    assert time.process_time() - begun < 2


def test_solve_finds_what_is_there_among_large_numbers_too() -> None:
    draw = random.Random(1)
    for _ in range(40):
        a, b, c, d = (draw.randint(2, 9999) for _ in range(4))
        for target, numbers in ((a * b - c * d, [a, b, c, d]), (a + b, [a * c, c, b * d, d])):
            solution = solve(read_task(target, draw.sample(numbers, 4)))
            assert solution is not None and evaluate(solution).value == target
