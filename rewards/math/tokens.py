r"""Split a tidied answer into tokens.

In: text from `tidy`. Out: a list of `Token`s: numbers as exact fractions, commands, single letters,
words, signs. Raises `Unreadable` on what is no mathematics. Bounded in length and nesting, so that
what comes after need not be.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, NamedTuple

from rewards.math.units import LETTER_UNITS, SHORT_UNITS

MAX_TOKENS: Final = 400
MAX_DEPTH: Final = 24
MAX_DIGITS: Final = 2000
MAX_EXPONENT: Final = 2000

FUNCTIONS: Final = frozenset(
    {
        "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh",
        "tanh", "log", "ln", "lg", "exp", "asin", "acos", "atan", "arccot", "arcsec", "arccsc",
    }
)  # fmt: skip
GREEK: Final = frozenset(
    {
        "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta",
        "vartheta", "iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau",
        "upsilon", "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda",
        "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "ell", "hbar",
    }
)  # fmt: skip
_SYNONYMS: Final = {
    "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<",
    "gt": ">", "ast": "cdot", "varnothing": "emptyset", "lbrack": "[", "rbrack": "]",
    "lparen": "(", "rparen": ")", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|",
    "infinity": "infty", "dots": "ldots", "cdots": "ldots", "asin": "arcsin", "acos": "arccos",
    "atan": "arctan", "colon": ":", "backslash": "setminus", "bar": "overline",
    "lbrace": "{set", "rbrace": "set}", "dotsc": "ldots", "approxeq": "approx", "sim": "approx",
}  # fmt: skip
_PLAIN_WORDS: Final = {
    **{name: name for name in FUNCTIONS},
    **{"sqrt": "sqrt", "pi": "pi", "Pi": "pi", "infinity": "infty", "inf": "infty", "oo": "infty"},
    **{"theta": "theta", "alpha": "alpha", "beta": "beta", "and": "and", "or": "or", "pm": "pm"},
    **{"union": "cup", "U": "cup"},
}
_TOKEN = re.compile(
    r"""
      (?P<num>\d+\.\d+(?:[eE][+-]?\d+)?(?![\d.])|\d+[eE][+-]?\d+(?![\w.])|\.\d+|\d+\.?(?!\d))
    | \\begin\s*\{(?P<begin>[a-zA-Z]+\*?)\}(?:\{[lcr|]*\})?
    | \\end\s*\{(?P<end>[a-zA-Z]+\*?)\}
    | \\(?:text|textbf|textit|textrm|textsf|texttt|textnormal|mbox|hbox|mathrm|mathbf|mathit
        |mathsf|operatorname\*?)\s*\{(?P<text>[^{}]*)\}
    | \\mathbb\s*\{?\s*(?P<bb>[A-Z])\s*\}?
    | \\(?P<cmd>[a-zA-Z]+)
    | (?P<row>\\\\)
    | (?P<esc>\\[{}$|%&#_])
    | (?P<word>[A-Za-z]+)
    | (?P<ineq><=|>=|!=|<|>)
    | (?P<op>\*\*|[-+*/^_!(),;:=\[\]{}|&%'])
    | (?P<space>\s+)
    """,
    re.VERBOSE | re.ASCII,
)
_DERIVATIVE = re.compile(r"\\frac\s*\{\s*(?:d|\\partial)(?![A-Za-z]{2})")
_GROUPED = re.compile(r"(?<![\d.,\w])[1-9]\d{0,2}(?:,\d{3})+(?![\d,]*\d)")
# Two words side by side: then no run of letters is a product.
_PROSE = re.compile(
    r"(?<![\\A-Za-z])(?!and\b|or\b|sin|cos|tan)[A-Za-z]{2,}\s+"
    r"(?!and\b|or\b|sin|cos|tan|pi)[A-Za-z]{2}"
)
_WORDS: Final = frozenset({"not", "the", "are", "but", "for", "all", "any", "nor", "yes", "per"})
_TEXT_SEPARATOR = re.compile(r"[\s,;]*(?:and|or)?[\s,;]*$", re.IGNORECASE)


class Unreadable(ValueError):
    """The text is not an answer in the grammar that is read here."""


class Token(NamedTuple):
    """One token: `num`, `sym`, `cmd`, `text`, `op`, `begin`, `end` or `row`, and its value.

    `gap`: white space stood before it.
    """

    kind: str
    value: str
    gap: bool = False


def number(text: str) -> Fraction:
    """The exact value of a number token."""
    mantissa, _, exponent = text.lower().partition("e")
    if mantissa[:1] == "0" and mantissa.isdigit() and len(mantissa) > 1:
        raise Unreadable("a leading zero")  # (1,000) is not (1,0)
    if len(mantissa) > MAX_DIGITS or (exponent and abs(int(exponent[:9])) > MAX_EXPONENT):
        raise Unreadable("a number beyond all bounds")
    value = Fraction(mantissa.rstrip(".")) if "." in mantissa else Fraction(int(mantissa))
    return value * Fraction(10) ** int(exponent) if exponent else value


def _word(word: str, after: Token | None, gap: bool, prose: bool) -> list[Token]:
    """A run of letters: a function, a separator, a unit, a word, or a product of letters."""
    known = _PLAIN_WORDS.get(word)
    if known is not None and (word != "U" or (after is not None and after.value in ")]")):
        return [Token("cmd", known, gap)]
    if len(word) == 1:
        return [Token("sym", word, gap)]
    measured = after is not None and (after.kind == "num" or after.value in (")", "}", "text"))
    if (measured and word in SHORT_UNITS) or len(word) > 3 or prose or word in _WORDS:
        return [Token("text", word, gap)]
    return [Token("sym", letter, gap and not i) for i, letter in enumerate(word)]


def _text(content: str, gap: bool, first: bool) -> list[Token]:
    r"""What stands in `\text{…}`: a separator, a letter or number, or words."""
    if _TEXT_SEPARATOR.match(content):
        joined = any(mark in content for mark in ("and", "or", ",", ";"))
        return [Token("op", ",", gap)] if joined else []
    inner = content.strip()
    if inner in LETTER_UNITS and not first:
        return [Token("text", inner, gap)]
    if len(inner) == 1 or re.fullmatch(r"-?\d+(?:\.\d+)?", inner):
        return list(tokenize(inner))
    if inner in FUNCTIONS:
        return [Token("cmd", inner, gap)]
    return [Token("text", inner, gap)]


def tokenize(text: str, *, group: bool = True) -> list[Token]:
    """All tokens of a tidied text.

    Args:
        text: the answer.
        group: read `1,234` outside of brackets as one number.

    Raises:
        Unreadable: a character or size that no answer has.
    """
    if group and "," in text and not re.search(r"[(\[]|\\\{", text):
        text = _GROUPED.sub(lambda m: m[0].replace(",", ""), text)
    if _DERIVATIVE.search(text):
        raise Unreadable("a derivative")
    prose = _PROSE.search(text) is not None
    tokens: list[Token] = []
    position, gap, depth = 0, False, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) > MAX_TOKENS:
            raise Unreadable(f"at {text[position : position + 20]!r}")
        position = match.end()
        kind, value = match.lastgroup or "", match[match.lastgroup or 0]
        if kind == "space":
            gap = True
            continue
        if kind == "num":
            tokens.append(Token("num", value, gap))
        elif kind == "cmd":
            value = _SYNONYMS.get(value, value)
            plain = len(value) == 1 and not value.isalpha()
            tokens.append(Token("op" if plain else "cmd", value, gap))
        elif kind == "word":
            tokens.extend(_word(value, tokens[-1] if tokens else None, gap, prose))
        elif kind == "text":
            tokens.extend(_text(value, gap, not tokens))
        elif kind == "bb":
            tokens.append(Token("cmd", "bb" + value, gap))
        elif kind == "esc":
            tokens.append(Token("cmd", {"\\{": "{set", "\\}": "set}"}.get(value, value[1]), gap))
        elif kind == "ineq":
            tokens.append(Token("op", {"<=": "le", ">=": "ge", "!=": "ne"}.get(value, value), gap))
        elif kind == "op" and value == "**":
            tokens.append(Token("op", "^", gap))
        else:
            tokens.append(Token(kind, value, gap))
        depth += (value in "([{") - (value in ")]}") if kind == "op" else 0
        if depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        gap = False
    return tokens
