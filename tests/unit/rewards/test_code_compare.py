"""What counts as the same output and the same value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rewards.code.compare import Mode, same_output, same_value
from rewards.sandbox.plain import Handle


@pytest.mark.parametrize(
    ("output", "expected", "mode", "same"),
    [
        (b"1\n2\n", "1\n2", "lines", True),
        (b"1 \r\n2\n\n", "1\n2\n", "lines", True),
        (b"1\n\n2\n", "1\n2\n", "lines", False),
        (b"1 2", "1\n2", "lines", False),
        (b"1 2", "1\n2", "tokens", True),
        (b"1\n2\n", "1\n2", "exact", False),
        (b"1\n2", "1\n2", "exact", True),
        (b"0.50", "0.5", "lines", True),
        (b"5e-1", "0.5", "lines", True),
        (b"0.5000001", "0.5", "lines", False),
        (b"007", "7", "lines", False),
        (b"1_0.0", "10.0", "lines", False),
        (b"nan", "0.5", "lines", False),
        (b"1e999 1.0", "1e999 1", "tokens", True),
        (b"YES", "Yes", "lines", False),
        (b"\xff", "x", "lines", False),
        (b"", "", "lines", True),
        (b"", "0", "lines", False),
    ],
)
def test_outputs(output: bytes, expected: str, mode: Mode, same: bool) -> None:
    assert same_output(output, expected, mode, 0.0) is same


def test_a_tolerance_is_absolute_below_one_and_relative_above() -> None:
    assert same_output(b"0.0000005", "0.0", "lines", 1e-6)
    assert same_output(b"1000000.5", "1000000.0", "lines", 1e-6)
    assert not same_output(b"1000002.0", "1000000.0", "lines", 1e-6)


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        ((1, (2,)), [1, [2]], True),
        ([1, 2], [1, 2, 3], False),
        (0.1 + 0.2, 0.3, True),
        (0.31, 0.3, False),
        (1, 1.0, True),
        ({1: "a"}, {"1": "a"}, True),
        ({1: "a"}, {"2": "a"}, False),
        ({"a": [0.3]}, {"a": [0.1 + 0.2]}, True),
        (float("nan"), float("nan"), True),
        (float("inf"), 10**400, False),
        ("1", 1, False),
        (None, 0, False),
        ({1, 2}, [1, 2], False),
        (Decimal(1), 1, True),
        ([[]] * 3, [[], [], []], True),
    ],
)
def test_values(got: Any, expected: Any, same: bool) -> None:
    assert same_value(got, expected, 1e-6) is same


def test_an_object_equals_one_of_its_class_when_a_reference_expects_it_and_nothing_else() -> None:
    expected = Handle(-1, "Match")
    assert same_value(Handle(-1, "Match"), expected, 0.0)
    assert not same_value(Handle(-1, "Liar"), expected, 0.0)
    assert not same_value(None, expected, 0.0)
    assert not same_value(Handle(-1, "Match"), "<Match object>", 0.0)
