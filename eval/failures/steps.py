r"""Does the working hold? The equalities that a response states, read and computed exactly.

In: working as models write it: `9 * 2 = $18`, `3 apples + 4 apples = 7`, `120\% \cdot 30 = 36`,
`\frac{6}{4} = 1.5`. Out: each `expression = number` with whether it holds. Rounded results hold
(`10/3 = 3.33`), so do percentages. What is no plain arithmetic (variables, powers, functions) is
not read; nothing is ever evaluated as code. `rewards.arithmetic` is the strict reading that
rewards; this one is for explaining, where a false alarm costs more than a miss.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, NamedTuple

from rewards.expression import MAX_CHARS, NotArithmetic, evaluate

MAX_LINKS: Final = 200
READ: Final = 20_000  # characters of working

_TIDY: Final = (
    (re.compile(r"<<[^<>]*>>"), ""),  # calculator marks
    (re.compile(r"\\[dt]?frac\s*\{([\d.]+)\}\s*\{([\d.]+)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])|[×·⋅]"), "*"),
    (re.compile(r"(?<=\d)\s*[xX]\s*(?=[\d$(])|(?<=\w)\s+[xX]\s+(?=[\d$(])"), "*"),
    (re.compile(r"(?<=\d)\s*/\s*[A-Za-z]+"), ""),  # $20/hour
    (re.compile(r"\\div(?![A-Za-z])|÷"), "/"),
    (re.compile("[−–]"), "-"),
    (re.compile(r"(?<=\d)(?:\{,\}|,?\\[!,]|, )\s*(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\(?:left|right|boxed|,|;|!| )|&|\*\*|[$€£]|\\\$"), " "),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\?%"), "%"),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
    (re.compile(r"(?<=\d)%(?=\s*(?:of\b|[-+*/]))"), "/100"),
    (re.compile(r"(?<=/100)\s*of\s+(?=\d)"), "*"),
)  # fmt: skip
# A unit between a number and the operator behind it: `3 red apples + 2`.
_UNIT = re.compile(
    r"(?<![\w\\^_.{])(\d+(?:\.\d+)?)\s+[A-Za-z]{2,}(?:[/ ][A-Za-z]+)?\s*(?=[-+*/=)])"
)
_LINK = re.compile(r"(?<![<>!=:≤≥≠])=(?!=)")
_LEFT = re.compile(r"[\d.+\-*/() \t]*$", re.ASCII)
_RIGHT = re.compile(r"[ \t]*(-?\d+(?:\.\d+)?)(?![\d,]*\d)(\s*%)?(?![\w^])", re.ASCII)
_RIGHT_SUM = re.compile(r"[ \t]*[\d.+\-*/() \t]+", re.ASCII)
_BOUNDARY = re.compile(r"[.:](?=\s|$)")
_MIXED = re.compile(r"[\d)][ \t]+[\d(]|^0\d")  # `3 1/2 - 2`, and what a number was cut from


class Link(NamedTuple):
    """One stated equality: its text, and whether it holds."""

    text: str
    holds: bool


def tidy(text: str) -> str:
    """The working in plain signs."""
    for pattern, plain in _TIDY:
        text = pattern.sub(plain, text)
    return _UNIT.sub(r"\1 ", text)


def links(response: str) -> list[Link]:
    """The equalities that a response states, in order; at most 200."""
    text = tidy(response[:READ])
    found: list[Link] = []
    for match in _LINK.finditer(text):
        start = max(text.rfind("\n", 0, match.start()), text.rfind("=", 0, match.start())) + 1
        link = _link(text, max(start, match.start() - MAX_CHARS), match.start(), match.end())
        if link is not None:
            found.append(link)
        if len(found) == MAX_LINKS:
            break
    return found


def _link(text: str, start: int, equals: int, right: int) -> Link | None:
    piece = _expression(text, start, equals)
    said = _RIGHT.match(text, right)
    if not piece or said is None:
        return None
    try:
        value = evaluate(piece).value
    except NotArithmetic:
        return None
    shown = f"{piece} = {said[1]}{'%' if said[2] else ''}"
    if _same(value, said[1], percent=said[2] is not None):
        return Link(shown, True)
    whole = _RIGHT_SUM.match(text, right)  # `3 * 4 = 12 + 5`, where the right side is a sum itself
    try:
        other = evaluate(_BOUNDARY.split(whole[0])[0].strip()).value if whole else None
    except NotArithmetic:
        other = None
    return Link(shown, other is not None and other == value)


def _expression(text: str, start: int, end: int) -> str:
    """The arithmetic that stands before an equals sign, "" where there is none to be sure of."""
    match = _LEFT.search(text, start, end)
    if match is None:
        return ""
    piece = _BOUNDARY.split(match[0])[-1].strip()
    if _MIXED.search(piece) or not any(sign in piece[1:] for sign in "+-*/"):
        return ""
    if len(piece) < len(match[0].strip()):
        return piece
    before = text[start : match.start()]
    touching = not match[0][:1].isspace() and before[-1:]
    if touching and touching not in "(:,;":
        return ""  # x2 + 3, 2^3 + 1, f(2) + 1
    if before.rstrip() and piece[0] in "+-*/":
        return ""  # x + 3: something stands before the operator that was not read
    return piece


def _same(value: Fraction, said: str, *, percent: bool) -> bool:
    """Whether a number is that value, exactly or as far as it is written out."""
    number = Fraction(said)
    decimals = len(said.partition(".")[2])
    wanted = [value] + ([value * 100] if percent else [])
    for exact in wanted:
        if exact == number:
            return True
        finer = (exact * 10**decimals).denominator != 1  # more places than are written
        if finer and abs(exact - number) < Fraction(1, 10**decimals):
            return True
    return False
