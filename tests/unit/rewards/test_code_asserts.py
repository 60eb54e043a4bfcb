"""Which asserts are split into an expression inside and a value outside, and which are not."""

from __future__ import annotations

from typing import Any

import pytest

from rewards.code.asserts import Direct, General, called, split


@pytest.mark.parametrize(
    ("source", "expression", "expected"),
    [
        ("assert f(1) == 2", "f(1)", 2),
        ("assert 2 == f(1)", "f(1)", 2),
        ("assert f(1) == -2.5, 'message'", "f(1)", -2.5),
        ("assert (f(1)) == (1, [2], {3: 'a'})", "f(1)", (1, [2], {3: "a"})),
        ("assert set(f((1, 2))) == set((2, 1))", "set(f((1, 2)))", {1, 2}),
        ("assert f(1) == True", "f(1)", True),
        ("assert Solution().f(1) == False", "Solution().f(1)", False),
        ("assert f(1) == 2**10 - 1", "f(1)", 1023),
        ("assert f('a') == frozenset()", "f('a')", frozenset()),
        ("assert f(1) == None", "f(1)", None),
        ("assert round(f(1), 2) == 0.1 + 0.2", "round(f(1), 2)", 0.1 + 0.2),
        ("assert f(1) == {1: [1, 1], 2: ()}", "f(1)", {1: [1, 1], 2: ()}),
    ],
)
def test_an_expected_constant_stays_outside(source: str, expression: str, expected: Any) -> None:
    (test,) = split(source)
    assert test == Direct(expression, expected)
    assert type(test.expected) is type(expected)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "source",
    [
        "assert f(1)",
        "assert not f(1)",
        "assert f(1) != 2",
        "assert f(1) is None",
        "assert abs(f(1) - 2) < 1e-6",
        "assert isinstance(f(1), int) == True",
        "assert math.isclose(f(1), 2) == True",
        "assert (f(1) == 2) == True",
        "assert all([f(1) == 2]) == True",
        "assert f(1) == g(2)",
        "assert f(1) == 10**10**10",
        "assert f(1) == [x for x in range(3)]",
        "assert 1 < f(1) < 3",
        "for i in range(3):\n    assert f(i) == i",
        "def check(candidate):\n    assert candidate(1) == 2",
    ],
)
def test_what_the_program_could_decide_is_not_left_to_it(source: str) -> None:
    (test,) = split(source)
    assert isinstance(test, General)


def test_several_asserts_are_several_tests() -> None:
    assert split("assert f(1) == 2\nassert f(2) == 3\n") == [Direct("f(1)", 2), Direct("f(2)", 3)]


@pytest.mark.parametrize(
    "source", ["", "f(1)", "assert f(1) ==", "assert " + "(" * 500 + ")" * 500]
)
def test_what_tests_nothing_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"test|assert"):
        split(source)


def test_names_that_a_test_calls() -> None:
    assert called("assert sorted(f(len(x))) == g(1)") == {"f", "g"}
