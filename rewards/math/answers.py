r"""Read an answer as a whole: a term with its unit, a list, a set, a tuple or interval, a relation.

In: an answer's text. Out: an `Answer`, or `Unreadable`. Order and brackets matter as they do in
mathematics: `(1,2)` is ordered, `\{1,2\}` and the bare list `1, 2` are not, `[1,2)` is an
interval, `x<3` is the interval `(-\infty,3)`, `\pm 3` is the list `3, -3`, `101_2` is a numeral
and no number. Whether two answers are equal is decided in `rewards.math.compare`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal

from rewards.math.terms import Term, Terms
from rewards.math.tidy import squash, tidy, untext
from rewards.math.tokens import Token, Unreadable, tokenize
from rewards.math.units import names_unit

MAX_CHARS: Final = 1000  # longer is no final answer
MAX_ITEMS: Final = 40
Kind = Literal["term", "list", "set", "tuple", "union", "relation", "matrix", "text", "numeral",
               "ratio", "empty"]  # fmt: skip

_RELATIONS: Final = frozenset({"=", "<", ">", "le", "ge", "ne", "approx", "equiv", "in", "to"})
_TURNED: Final = {"<": ">", ">": "<", "le": "ge", "ge": "le"}
_OPENING: Final = frozenset({"(", "[", "{", "{set", "langle", "lfloor", "lceil"})
_CLOSED: Final = frozenset({")", "]", "}", "set}", "rangle", "rfloor", "rceil"})
_MATRICES: Final = frozenset({"pmatrix", "bmatrix", "matrix", "array", "Bmatrix", "smallmatrix"})
_INFINITE: Final[Term] = ("sym", "∞")
_WORDS = re.compile(r"[A-Za-z]{2}")
_CHOICE = re.compile(
    r"(?:\(?\s*([A-Z])\s*\)|([A-Z])\s*[.:)]\s+(?=\S))"
    r"(?!\s*[+*/^=_!,;&]|-|\s+-\s|\s*(?:and|or)\b)"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        kind: what it is.
        term: of a `term`.
        items: of a list, set, tuple, union, relation (its sides), matrix (its rows) or ratio.
        mark: of a tuple its two brackets, of a relation its signs, of a numeral its digits and
            base, of a text its letters.
        unit: the words behind a term, "" when none.
        percent: whether a percent sign followed a term.
    """

    kind: Kind
    term: Term = ()
    items: tuple[Answer, ...] = ()
    mark: str = ""
    unit: str = ""
    percent: bool = False


def _split(tokens: list[Token], at: frozenset[str]) -> list[tuple[list[Token], str]]:
    """Pieces between the given signs outside of all brackets, each with the sign before it."""
    pieces: list[tuple[list[Token], str]] = [([], "")]
    depth = 0
    for token in tokens:
        if token.kind in ("op", "cmd", "row"):
            if token.value in _OPENING:
                depth += 1
            elif token.value in _CLOSED:
                depth -= 1
        depth += (token.kind == "begin") - (token.kind == "end")
        if depth < 0:
            raise Unreadable("a bracket that nothing opened")
        if depth == 0 and token.kind in ("op", "cmd", "row") and token.value in at:
            pieces.append(([], token.value))
        else:
            pieces[-1][0].append(token)
    if depth:
        raise Unreadable("brackets that do not match")
    return pieces


_SEPARATORS: Final = frozenset({",", ";", "and", "or"})
_CUP: Final = frozenset({"cup"})
_ROWS: Final = frozenset({"\\\\"})
_CELLS: Final = frozenset({"&"})
_COLON: Final = frozenset({":"})
_COMMA: Final = frozenset({",", ";"})


def _encloses(tokens: list[Token]) -> bool:
    """Whether the first bracket is closed by the last token and by none before."""
    if len(tokens) < 2 or tokens[0].value not in _OPENING or tokens[-1].value not in _CLOSED:
        return False
    depth = 0
    for position, token in enumerate(tokens):
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPENING) - (token.value in _CLOSED)
        if depth == 0:
            return position == len(tokens) - 1
    return False


def _read(tokens: list[Token]) -> Answer:
    if not tokens:
        raise Unreadable("nothing")
    pieces = _split(tokens, _SEPARATORS)
    if len(pieces) > 1:
        items = [_read(piece) for piece, _ in pieces if piece]
        flat = [i for item in items for i in (item.items if item.kind == "list" else (item,))]
        return flat[0] if len(flat) == 1 else _bounded("list", flat)
    relation = _split(tokens, _RELATIONS)
    if len(relation) > 1:
        return _relation(relation)
    united = _split(tokens, _CUP)
    if len(united) > 1:
        return _bounded("union", [_read(piece) for piece, _ in united])
    shares = _split(tokens, _COLON)
    if len(shares) > 1 and shares[-1][0] and shares[-1][0][-1].kind == "text":  # a time of day
        return Answer("text", mark=_letters("".join(token.value for token in tokens)))
    if len(shares) > 1:
        return _bounded("ratio", [_read(piece) for piece, _ in shares])
    if tokens[0].kind == "begin" and tokens[-1].kind == "end":
        return _matrix(tokens)
    if _encloses(tokens):
        enclosed = _enclosed(tokens)
        if enclosed is not None:
            return enclosed
    if len(tokens) > 2 and tokens[0].value == "bbR" and tokens[1].value in ("setminus", "-"):
        without = _read(tokens[2:])
        if without.kind == "set" and len(without.items) == 1:
            return _all_but(without.items[0])
    if len(tokens) == 1 and tokens[0].value in ("emptyset", "bbR"):
        if tokens[0].value == "emptyset":
            return Answer("empty")
        ends = (Answer("term", ("neg", _INFINITE)), Answer("term", _INFINITE))
        return Answer("tuple", items=ends, mark="()")
    return _term(tokens)


def _bounded(kind: Kind, items: list[Answer], mark: str = "") -> Answer:
    if not items:  # `{,}`: every item of it would be the gold answer
        raise Unreadable("brackets and separators around nothing")
    if len(items) > MAX_ITEMS:
        raise Unreadable(f"{len(items)} items")
    return Answer(kind, items=tuple(items), mark=mark)


def _enclosed(tokens: list[Token]) -> Answer | None:
    """What stands in one pair of brackets; None for a term in parentheses."""
    opened, closed, inner = tokens[0].value, tokens[-1].value, tokens[1:-1]
    if opened == "{set":
        if not inner:
            return Answer("empty")
        pieces = [_read(piece) for piece, _ in _split(inner, _COMMA)]
        return _bounded("set", _spread(pieces))
    parts = _split(inner, _COMMA)
    if len(parts) == 1:
        if opened in ("(", "{"):
            return _read(inner)
        if opened in ("[", "langle"):
            return _bounded("tuple", [_read(inner)], opened[0] + closed[0])
        return None
    if opened == "{":
        return _read(inner)
    brackets = "<>" if opened == "langle" else f"{opened}{closed}"
    return _bounded("tuple", [_read(piece) for piece, _ in parts], brackets)


def _spread(items: list[Answer]) -> list[Answer]:
    return [i for item in items for i in (item.items if item.kind == "list" else (item,))]


def _matrix(tokens: list[Token]) -> Answer:
    inner = tokens[1:-1]
    if tokens[0].value not in _MATRICES or any(t.kind in ("begin", "end") for t in inner):
        raise Unreadable(f"environment {tokens[0].value!r}")
    rows = []
    for row, _ in _split(inner, _ROWS):
        if row:
            rows.append(_bounded("tuple", [_read(cell) for cell, _ in _split(row, _CELLS)], "()"))
    return _bounded("matrix", rows)


def _is_name(answer: Answer) -> bool:
    """One symbol, or a function of one: `x`, `f(x)`."""
    term = answer.term
    if answer.kind != "term" or answer.unit:
        return answer.kind == "text"
    return (term[0] == "sym" and term[1] not in "iπe∞") or term[0] == "call"


def _relation(pieces: list[tuple[list[Token], str]]) -> Answer:
    """Sides and signs; one variable's bounds become an interval."""
    signs = [sign for _, sign in pieces[1:]]
    if signs == ["in"]:
        return _read(pieces[1][0])
    sides = [_side(piece) for piece, _ in pieces]
    if signs == ["ne"] and _is_name(sides[0]) and sides[1].kind == "term":
        return _all_but(sides[1])
    order = [sign for sign in signs if sign in _TURNED]
    if len(order) == len(signs):
        interval = _interval(sides, signs)
        if interval is not None:
            return interval
    if "to" in signs or "in" in signs:
        raise Unreadable("a map or a membership")
    return _bounded("relation", sides, " ".join(signs))


def _all_but(point: Answer) -> Answer:
    """The real line without a point."""
    low, high = Answer("term", ("neg", _INFINITE)), Answer("term", _INFINITE)
    left = Answer("tuple", items=(low, point), mark="()")
    return Answer("union", items=(left, Answer("tuple", items=(point, high), mark="()")))


def _side(tokens: list[Token]) -> Answer:
    words = [token for token in tokens if token.kind == "text"]
    if words and len(words) == len(tokens):
        return Answer("text", mark=" ".join(token.value for token in tokens))
    return _read(tokens)


def _interval(sides: list[Answer], signs: list[str]) -> Answer | None:
    r"""`x<3`, `1 \le x < 2` as intervals; None for a relation of another shape."""
    names = [i for i, side in enumerate(sides) if side.kind == "term" and _is_name(side)]
    if len(sides) not in (2, 3) or len(names) != 1 or any(s.kind != "term" for s in sides):
        return None
    if len(sides) == 2 and names == [1]:
        sides, signs = sides[::-1], [_TURNED[signs[0]]]
    if len(sides) == 3 and (names != [1] or (signs[0] in ("<", "le")) != (signs[1] in ("<", "le"))):
        return None
    if len(sides) == 3 and signs[0] in (">", "ge"):
        sides, signs = sides[::-1], [_TURNED[sign] for sign in signs[::-1]]
    low, high = Answer("term", ("neg", _INFINITE)), Answer("term", _INFINITE)
    left = right = False  # closed?
    if len(sides) == 3:
        low, high, left, right = sides[0], sides[2], signs[0] == "le", signs[1] == "le"
    elif signs[0] in ("<", "le"):
        high, right = sides[1], signs[0] == "le"
    else:
        low, left = sides[1], signs[0] == "ge"
    return Answer("tuple", items=(low, high), mark="(["[left] + ")]"[right])


def _term(tokens: list[Token]) -> Answer:
    """A term with currency before it and a unit or percent sign behind it."""
    tokens = list(tokens)
    unit = ""
    at = int(tokens[0].value == "-")
    if len(tokens) > at and tokens[at].value == "$":
        del tokens[at]
        unit = "$"
    if not tokens:
        raise Unreadable("nothing but a sign")
    while tokens and tokens[0].kind == "text" and len(tokens) > 1 and tokens[1].kind == "num":
        if tokens[0].value.lower() not in ("usd", "rs", "rs."):
            raise Unreadable("words before a number")
        del tokens[0]
    terms = Terms(tokens)
    plus_minus = any(token.value in ("pm", "mp") for token in tokens if token.kind == "cmd")
    numeral = _numeral(tokens)
    if numeral is not None:
        return numeral
    term = terms.total()
    rest = terms.tokens[terms.at :]
    percent = bool(rest) and (rest[0].value == "%" or rest[0].value.lower() == "percent")
    if percent:
        rest = rest[1:]
    if rest:
        unit = _unit(rest)
    if plus_minus:
        other = Terms(list(tokens), -1).total()
        both = tuple(Answer("term", t, unit=unit, percent=percent) for t in (term, other))
        return Answer("list", items=both)
    return Answer("term", term, unit=unit, percent=percent)


_SCALES: Final = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


def _unit(rest: list[Token]) -> str:
    """The words behind a term."""
    if rest[0].value == "degree":
        rest = [Token("text", "degrees"), *rest[1:]]
        if len(rest) > 1 and rest[1].value in ("C", "F"):
            rest = [Token("text", f"degrees {rest[1].value}"), *rest[2:]]
    if rest[0].kind != "text" and rest[0].value != "$":
        raise Unreadable(f"{rest[0].value!r} behind a term")
    words = []
    for place, token in enumerate(rest):
        if token.kind == "num" and rest[place - 1].value not in ("^", "{"):
            raise Unreadable("a second number behind a term")
        if token.kind not in ("text", "sym", "num") and token.value not in "^/{}()$":
            raise Unreadable(f"{token.value!r} in a unit")
        if token.kind == "num" and token.value not in ("2", "3"):
            raise Unreadable("a number in a unit")
        words.append(token.value)
    if not names_unit(" ".join(words)):
        raise Unreadable("words that are no unit")
    if words[0].lower().split()[0] in _SCALES or " ".join(words).lower() in ("dozen", "half"):
        raise Unreadable("a scale word")
    return re.sub(r"\s*\^\s*", "^", " ".join(w for w in words if w not in "{}()")).strip()


def _numeral(tokens: list[Token]) -> Answer | None:
    r"""Digits with their base as an index: `101_2`, `\text{A5}_{11}`."""
    signs = [token.value for token in tokens]
    first = tokens[0]
    if "_" not in signs or not (
        first.kind in ("num", "text") or first.value.isupper() or first.value == "("
    ):
        return None
    cut = signs.index("_")
    base = "".join(value for value in signs[cut + 1 :] if value not in "{}")
    digits = "".join(value for value in signs[:cut] if value not in "{}()")
    if base.isdigit() and re.fullmatch(r"-?[0-9A-Z.]+", digits) and re.search(r"\d", digits):
        return Answer("numeral", mark=f"{digits}_{int(base)}")
    return None


def _as_text(plain: str, tidied: str) -> Answer | None:
    r"""Words, as `\text{even}`, `Monday`, `3:30 p.m.`; None for what may be mathematics."""
    stripped = plain.strip(" .()")
    if len(stripped) == 1 and stripped.isupper() and ("(" in plain or "\\text" in tidied):
        return Answer("text", mark=stripped.lower())
    letters = re.sub(r"\\[A-Za-z]+", "", tidied)
    if not _WORDS.search(plain):
        return None
    wordy = re.search(r"[A-Za-z]{4}|\b[ap]\.?\s?m\b", letters) or "\\text" in tidied
    if not wordy or re.search(r"[\\^=<>{}]", plain):
        return None
    return Answer("text", mark=_letters(plain))


def _letters(text: str) -> str:
    return re.sub(r"[\s.'\"()]", "", text).lower()


@lru_cache(maxsize=2048)
def _cached(text: str, group: bool) -> Answer | str:
    """`read`, with the failure as a value: a cache does not keep exceptions."""
    tidied = tidy(text)
    try:
        return _read(tokenize(tidied, group=group))
    except (Unreadable, RecursionError) as error:
        found = _as_text(untext(tidied), tidied)
        return found or f"{error}"[:200]


def read(text: str, *, group: bool = True) -> Answer:
    """Read one answer.

    Args:
        text: the answer, markup included.
        group: read `1,234` outside of brackets as one number.

    Raises:
        Unreadable: it is not in the grammar, or longer than 1000 characters.
    """
    if len(text) > MAX_CHARS:
        raise Unreadable(f"{len(text)} characters")
    found = _cached(text, group) if len(text) <= 200 else _cached.__wrapped__(text, group)
    if isinstance(found, str):
        raise Unreadable(found)
    return found


def choice_of(text: str) -> str:
    """The letter that a choice with its content starts with: `(B) 12`; "" where none does."""
    match = _CHOICE.match(untext(tidy(text)).strip())
    return (match[1] or match[2]) if match else ""


def key(text: str) -> str:
    """The text without markup, for a comparison of letters."""
    return squash(tidy(text))


def term_of(value: Fraction) -> Answer:
    """A number as an answer."""
    return Answer("term", ("num", value))
