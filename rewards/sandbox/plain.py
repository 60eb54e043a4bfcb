"""Values that may cross the sandbox's border: plain data in a canonical JSON form.

In (`encode`): any object. Out: JSON-able data that holds its plain value, whatever its class says
of itself: an int subclass whose `__eq__` always answers True arrives as the int it is. What is not
plain becomes a handle, which equals nothing. In (`decode`): such data from a process that may lie.
Out: objects of the built-in types alone. Depth, size and hash collisions are bounded, so that no
answer can stall the reader. Nothing is evaluated or unpickled.
"""

from __future__ import annotations

import datetime
import math
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

MAX_DEPTH: Final = 100
MAX_NODES: Final = 500_000
MAX_SAME_HASH: Final = 64
_TAG: Final = "$"
_SAFE_INT: Final = 1 << 53

Keep = Callable[[object], int]


class NotPlain(ValueError):
    """The data is no encoding, or past a bound."""


class Handle:
    """An object that stays where it is; only its number crosses.

    Attributes:
        number: its index in the process that holds it; -1 when it was not kept.
        kind: the name of its class, for messages.
    """

    __slots__ = ("kind", "number")

    def __init__(self, number: int, kind: str) -> None:
        """Name an object of another process."""
        self.number = number
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind} object>"


class _Encoder:
    def __init__(self, keep: Keep | None) -> None:
        self.nodes = 0
        self.keep = keep

    def many(self, values: Any, depth: int) -> list[Any]:
        return [self.one(value, depth) for value in values]

    def one(self, value: object, depth: int = 0) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise NotPlain("value is nested too deeply or too large")
        deeper = depth + 1
        if value is None or value is True or value is False:
            return value
        if isinstance(value, int):
            number = int.__int__(value)
            if -_SAFE_INT < number < _SAFE_INT:
                return number
            return {_TAG: "int", "v": format(number, "x")}
        if isinstance(value, float):
            real = float.__float__(value)
            return real if math.isfinite(real) else {_TAG: "float", "v": repr(real)}
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, list):
            return self.many(list.__iter__(value), deeper)
        if isinstance(value, tuple):
            return {_TAG: "tuple", "v": self.many(tuple.__iter__(value), deeper)}
        if isinstance(value, dict):
            pairs = [self.many(pair, deeper) for pair in dict.items(value)]
            return {_TAG: "dict", "v": pairs}
        if isinstance(value, set):
            return {_TAG: "set", "v": self.many(set.__iter__(value), deeper)}
        if isinstance(value, frozenset):
            return {_TAG: "frozenset", "v": self.many(frozenset.__iter__(value), deeper)}
        return self.rare(value, deeper)

    def rare(self, value: object, deeper: int) -> Any:
        if isinstance(value, complex):
            return {_TAG: "complex", "v": self.many((value.real, value.imag), deeper)}
        if isinstance(value, bytes | bytearray):
            return {_TAG: type(value).__name__, "v": value.hex()}
        if isinstance(value, deque):
            return {_TAG: "deque", "v": self.many(list(value), deeper)}
        if isinstance(value, range):
            return {_TAG: "range", "v": self.many((value.start, value.stop, value.step), deeper)}
        if isinstance(value, Fraction):
            return {_TAG: "fraction", "v": self.many((value.numerator, value.denominator), deeper)}
        if isinstance(value, Decimal):
            return {_TAG: "decimal", "v": str(value)}
        if isinstance(value, datetime.datetime | datetime.date):
            name = "datetime" if isinstance(value, datetime.datetime) else "date"
            return {_TAG: name, "v": value.isoformat()}
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return self.one(value.tolist(), deeper)
        number = -1 if self.keep is None else self.keep(value)
        return {_TAG: "handle", "v": [number, type(value).__name__[:80]]}


def encode(value: object, keep: Keep | None = None) -> Any:
    """JSON-able data for a value.

    Args:
        value: anything.
        keep: stores what is not plain and returns its number; None keeps nothing.

    Raises:
        NotPlain: too deep or too large.
    """
    return _Encoder(keep).one(value)


def _guard(values: list[Any]) -> list[Any]:
    """Refuse elements that would make a set or dict take quadratic time."""
    if len(values) > MAX_SAME_HASH:
        hashes = sorted(map(hash, values))
        for low, high in zip(hashes, hashes[MAX_SAME_HASH:], strict=False):
            if low == high:
                raise NotPlain("too many elements share one hash")
    return values


def _dict(pairs: list[Any]) -> dict[Any, Any]:
    _guard([key for key, _ in pairs])
    return {key: value for key, value in pairs}


def _number(text: Any) -> int:
    if not isinstance(text, str):
        raise NotPlain("no hexadecimal integer")
    return int(text, 16)


def _handle(parts: list[Any]) -> Handle:
    number, kind = parts
    return Handle(int(number), str(kind))


_OF_LIST: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "tuple": tuple,
    "set": lambda parts: set(_guard(parts)),
    "frozenset": lambda parts: frozenset(_guard(parts)),
    "deque": deque,
    "dict": _dict,
    "complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "range": lambda parts: range(*parts),
    "fraction": lambda parts: Fraction(int(parts[0]), int(parts[1])),
    "handle": _handle,
}
_OF_TEXT: Final[dict[str, Callable[[str], Any]]] = {
    "int": _number,
    "float": float,
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "decimal": Decimal,
    "date": datetime.date.fromisoformat,
    "datetime": datetime.datetime.fromisoformat,
}


def _decode(data: Any, depth: int) -> Any:
    if depth > 2 * MAX_DEPTH + 2:
        raise NotPlain("nested too deeply")
    if isinstance(data, list):
        return [_decode(item, depth + 1) for item in data]
    if not isinstance(data, dict):
        return data
    tag, value = data.get(_TAG), data.get("v")
    if isinstance(value, list) and tag in _OF_LIST:
        return _OF_LIST[tag]([_decode(item, depth + 1) for item in value])
    if isinstance(value, str) and tag in _OF_TEXT:
        return _OF_TEXT[tag](value)
    raise NotPlain(f"unknown encoding {str(tag)[:40]!r}")


def decode(data: Any) -> Any:
    """The value of an encoding.

    Raises:
        NotPlain: it is none, or it is past a bound.
    """
    try:
        return _decode(data, 0)
    except NotPlain:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError, IndexError) as error:
        raise NotPlain(f"{type(error).__name__} in encoding") from None
