"""Nearest legal values, by hand."""

from __future__ import annotations

from launch.preflight.arithmetic import (
    ceil_div,
    nearest_divisors,
    nearest_legal,
    nearest_multiples,
    round_up,
    step_for,
)


def test_division_rounds_up() -> None:
    assert [ceil_div(n, 4) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [round_up(n, 4) for n in (1, 4, 5)] == [4, 4, 8]


def test_step_for_divides_by_what_is_left_of_the_divisor() -> None:
    # 8 must divide x·4: x even. 8 must divide x·3: x a multiple of 8. 8 | x·16: any x.
    assert (step_for(8, 4), step_for(8, 3), step_for(8, 16)) == (2, 8, 1)


def test_nearest_multiples_are_below_and_above() -> None:
    assert nearest_multiples(10, 4) == (8, 12)
    assert nearest_multiples(12, 4) == (12,)
    assert nearest_multiples(3, 4) == (4,)


def test_nearest_divisors_are_below_and_above() -> None:
    assert nearest_divisors(5, 12) == (4, 6)
    assert nearest_divisors(6, 12) == (6,)
    assert nearest_divisors(20, 12) == (12,)


def test_nearest_legal_stays_within_its_bounds() -> None:
    def odd(value: int) -> bool:
        return value % 2 == 1

    assert nearest_legal(4, odd, low=1, high=9) == (3, 5)
    assert nearest_legal(4, odd, low=4, high=9) == (5,)
    assert nearest_legal(20, odd, low=1, high=9) == (9,)
    assert nearest_legal(4, odd, low=4, high=4) == ()
