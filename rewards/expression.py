"""Exact value of an arithmetic expression, read by hand and never evaluated as code.

In: a short text such as `(1 + 2) / 3` or `2 × (7 − 3)`. Out: its value as a Fraction and the
numbers it uses, in order. Knows + - * / (also × · ÷ −), brackets, and unary signs; nothing else:
no powers, no names, no implied products. Text, nesting and digits are bounded, so no input is slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

MAX_CHARS: Final = 500
MAX_DEPTH: Final = 50
MAX_DIGITS: Final = 15
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([-+*/()]))", re.ASCII)
_SIGNS = str.maketrans({"×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-"})
_LATEX = (
    (r"\times", "*"),
    (r"\cdot", "*"),
    (r"\div", "/"),
    (r"\left", ""),
    (r"\right", ""),
    ("[", "("),
    ("]", ")"),
    (r"\,", " "),
)


class NotArithmetic(ValueError):
    """The text is no expression of the kind above, or divides by zero."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What was read.

    Attributes:
        value: exact.
        numbers: the numbers used, as written, in order.
    """

    value: Fraction
    numbers: tuple[Fraction, ...]


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        self.at = 0
        self.depth = 0
        self.numbers: list[Fraction] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise NotArithmetic(f"cannot read {text[position : position + 20]!r}")
            self.tokens.append(match[1] or match[2])
            position = match.end()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def sum(self) -> Fraction:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Fraction:
        value = self.factor()
        while self.peek() in ("*", "/"):
            if self.take() == "*":
                value *= self.factor()
                continue
            divisor = self.factor()
            if divisor == 0:
                raise NotArithmetic("division by zero")
            value /= divisor
        return value

    def factor(self) -> Fraction:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotArithmetic(f"nested deeper than {MAX_DEPTH}")
        token = self.take()
        if token in ("+", "-"):
            value = self.factor() if token == "+" else -self.factor()
        elif token == "(":
            value = self.sum()
            if self.take() != ")":
                raise NotArithmetic("a bracket is not closed")
        elif token[:1].isdigit():
            if len(token) > MAX_DIGITS:
                raise NotArithmetic(f"a number of {len(token)} digits")
            value = Fraction(token)
            self.numbers.append(value)
        else:
            raise NotArithmetic(f"a number is missing before {token or 'the end'!r}")
        self.depth -= 1
        return value


def evaluate(text: str) -> Expression:
    """Read an expression.

    Args:
        text: the expression, at most 500 characters, LaTeX's operators and `$` included.

    Raises:
        NotArithmetic: it is not one, or divides by zero.
    """
    if len(text) > MAX_CHARS:
        raise NotArithmetic(f"{len(text)} characters, at most {MAX_CHARS}")
    for latex, plain in _LATEX:
        text = text.replace(latex, plain)
    text = text.translate(_SIGNS).strip(" $`").removeprefix("**").removesuffix("**")
    reader = _Reader(text)
    value = reader.sum()
    if reader.peek():
        raise NotArithmetic(f"{reader.peek()!r} follows a complete expression")
    return Expression(value, tuple(reader.numbers))
