"""What crosses the sandbox's border: plain values as they are, nothing that lies, nothing slow."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections import Counter, OrderedDict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.sandbox import plain, wire

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=12,
)


def cross(value: Any) -> Any:
    return plain.decode(json.loads(json.dumps(plain.encode(value))))


@settings(max_examples=150, deadline=None)
@given(PLAIN)
def test_a_plain_value_arrives_as_it_is(value: Any) -> None:
    arrived = cross(value)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        1j,
        pytest.param(10**5000, id="10**5000"),
        -(2**64),
        {1, "a"},
        range(1, 9, 2),
        Fraction(1, 3),
        Decimal("1.10"),
        deque([1, 2]),
        datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 1, 2),
        bytearray(b"\x00"),
        float("inf"),
        "\ud800",
    ],
)
def test_rarer_values_arrive_too(value: Any) -> None:
    assert cross(value) == value


def test_a_subclass_arrives_as_what_it_is_made_of() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

        def __int__(self) -> int:
            return 99

    assert type(cross(Liar(7))) is int
    assert cross(Liar(7)) == 7
    assert cross(Liar(7)) != 99
    pair = namedtuple("pair", "a b")
    assert cross(pair(1, 2)) == (1, 2)
    assert cross(Counter("aab")) == {"a": 2, "b": 1}
    assert cross(OrderedDict(a=1)) == {"a": 1}


def test_what_is_not_plain_equals_nothing() -> None:
    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

    arrived = cross([Anything()])[0]
    assert isinstance(arrived, plain.Handle)
    assert arrived not in (0, 1, True, "", None, Anything)


@pytest.mark.parametrize(
    "data",
    [
        {"$": "set", "v": [[1]]},
        {"$": "int", "v": "zz"},
        {"$": "int", "v": 3},
        {"$": "fraction", "v": [1, 0]},
        {"$": "fraction", "v": [1]},
        {"$": "eval", "v": "1"},
        {"$": "dict", "v": [[1, 2, 3]]},
        {"$": "date", "v": "tomorrow"},
        {"v": 1},
        {},
    ],
)
def test_what_is_no_encoding_is_refused(data: Any) -> None:
    with pytest.raises(plain.NotPlain):
        plain.decode(data)


def test_depth_is_bounded_both_ways() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(plain.NotPlain):
        plain.encode(deep)
    with pytest.raises(plain.NotPlain):
        plain.decode(deep)


def test_a_set_of_one_hash_takes_no_quadratic_time() -> None:
    same = [{"$": "int", "v": format(i * (2**61 - 1), "x")} for i in range(50_000)]
    begun = time.process_time()
    with pytest.raises(plain.NotPlain, match="hash"):
        plain.decode({"$": "set", "v": same})
    assert time.process_time() - begun < 2


def test_a_frame_past_the_cap_is_not_read() -> None:
    out, end = os.pipe()
    os.write(end, b"\xff\xff\xff\xff\xff\xff\xff\xff")
    with pytest.raises(wire.BadFrame, match="cap"):
        wire.read(out, 1000, time.monotonic() + 1)


def test_frames_arrive_and_silence_ends() -> None:
    out, end = os.pipe()
    wire.write(end, {"a": [1]}, b"\x00blob")
    assert wire.read(out) == wire.Frame({"a": [1]}, b"\x00blob")
    begun = time.monotonic()
    with pytest.raises(wire.Late):
        wire.read(out, deadline=begun + 0.05)
    os.close(end)
    with pytest.raises(wire.Closed):
        wire.read(out)
