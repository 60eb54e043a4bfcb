r"""Parse an expression: a recursive descent over tokens, for LaTeX and for plain notation.

In: tokens. Out: a term, a nested tuple of one of these forms: `("num", Fraction)`, `("sym", name)`,
`("add" | "mul" | "div" | "pow", left, right)`, `("neg", term)`, `("fn", name, term, …)`, `("call",
name, term)` for a function that is only named. Implicit products, mixed numbers (`2\frac{1}{2}`),
functions without parentheses (`\sin 2x`), roots, powers, factorials, binomials, absolute values.
What it does not know (`\int`, `\sum`) is `Unreadable`. Nothing is evaluated.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from rewards.math.tokens import FUNCTIONS, GREEK, MAX_DEPTH, Token, Unreadable, number

Term = tuple[Any, ...]
_END: Final = Token("end of input", "")
_CLOSING: Final = {"(": ")", "[": "]", "{": "}", "|": "|"}
_NAMED: Final = {"pi": "π", "infty": "∞", "imath": "i"}
_FENCES: Final = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil")}
_ADDED: Final = frozenset({"+", "-", "pm", "mp"})
_CALLED: Final = frozenset("fghFGHP")
_DEGREE: Final = "degree"


class Terms:
    r"""A reader of terms that stands somewhere in a list of tokens.

    Args:
        tokens: the whole list.
        sign: what `\pm` means in this reading: 1 or -1.
    """

    def __init__(self, tokens: list[Token], sign: int = 1) -> None:
        self.tokens = tokens
        self.at = 0
        self.sign = sign
        self.depth = 0

    @property
    def next(self) -> Token:
        """The token to be read next."""
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def take(self, value: str) -> bool:
        """Step over the next token if it is this one."""
        if self.next.value == value and self.next.kind in ("op", "cmd"):
            self.at += 1
            return True
        return False

    def need(self, value: str) -> None:
        """Step over this token, which has to come."""
        if not self.take(value):
            raise Unreadable(f"{value!r} missing before {self.next.value!r}")

    def total(self) -> Term:
        """A sum."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        left = self.signed(first=True)
        while self.next.value in _ADDED and self.next.kind in ("op", "cmd"):
            left = ("add", left, self.signed(first=False))
        self.depth -= 1
        return left

    def signed(self, *, first: bool) -> Term:
        """A product with the signs before it."""
        negative = False
        for _ in range(3):
            sign = self.next.value
            if sign not in _ADDED or self.next.kind not in ("op", "cmd"):
                break
            self.at += 1
            minus = sign == "-" or (sign == "pm" and self.sign < 0)
            negative ^= minus or (sign == "mp" and self.sign > 0)
        term = self.product()
        return ("neg", term) if negative else term

    def product(self) -> Term:
        """Factors with or without a sign between them."""
        left = self.power()
        while True:
            token = self.next
            if token.kind in ("op", "cmd") and token.value in ("*", "times", "cdot", "bullet"):
                self.at += 1
                left = ("mul", left, self.factor())
            elif token.kind in ("op", "cmd") and token.value in ("/", "div"):
                self.at += 1
                left = ("div", left, self.factor())
            elif self.starts():
                left = self.beside(left)
            else:
                return left

    def factor(self) -> Term:
        r"""A power that may carry a sign: `3 \cdot -2`."""
        if self.take("-"):
            return ("neg", self.factor())
        return self.power()

    def starts(self) -> bool:
        """Whether a factor of an implicit product may start here."""
        kind, value, _ = self.next
        if kind in ("num", "sym"):
            return True
        if kind == "cmd":
            known = FUNCTIONS | GREEK | _NAMED.keys() | _FENCES.keys()
            return value in known or value in ("frac", "sqrt", "binom", "overline")
        return kind == "op" and value in ("(", "{", "[")

    def beside(self, left: Term) -> Term:
        """What stands next to `left` without a sign: a mixed number's fraction, or a factor."""
        token = self.next
        whole = left[0] == "num" and left[1].denominator == 1
        if token.kind == "num":
            if self.tokens[self.at - 1].value == "!":
                return ("mul", left, self.power())
            if not (whole and token.gap):
                raise Unreadable("two numbers side by side")
            right = self.power()
            if right[0] != "num" or not self.take("/"):
                raise Unreadable("two numbers side by side")
            below = self.power()
            if below[0] != "num" or not 0 < right[1] < below[1]:
                raise Unreadable("no mixed number")
            return ("num", left[1] + right[1] / below[1])
        plain = token.value == "frac" and token.kind == "cmd"
        right = self.power()
        if whole and plain and right[0] == "div" and right[1][0] == right[2][0] == "num":
            top, bottom = right[1][1], right[2][1]
            if 0 < top < bottom and top.denominator == bottom.denominator == 1:
                return ("num", left[1] + Fraction(top, bottom))
        return ("mul", left, right)

    def power(self) -> Term:
        """An atom with what stands above and behind it."""
        base = self.atom()
        while True:
            if self.take("!"):
                if self.next.value == "!":
                    raise Unreadable("double factorial")
                base = ("fn", "factorial", base)
            elif self.take("^"):
                base = ("pow", base, self.argument(whole=True))
            elif self.take("'"):
                raise Unreadable("a prime")
            elif self.next.value == "%" and self.next.kind in ("op", "cmd") and self.inside():
                self.at += 1
                base = ("div", base, ("num", Fraction(100)))
            else:
                return base

    def inside(self) -> bool:
        """Whether anything but the end follows the next token."""
        return self.at + 1 < len(self.tokens)

    def argument(self, *, whole: bool) -> Term:
        """What a command or `^` takes: a group, or one token; of a number, one digit or all."""
        token = self.next
        if token.kind == "num" and not whole and len(token.value) > 1:
            self.tokens[self.at] = Token("num", token.value[1:])
            return ("num", Fraction(int(token.value[0])))
        if self.take("-"):
            return ("neg", self.argument(whole=whole))
        self.take("+")
        return self.atom()

    def group(self, opened: str) -> Term:
        """A sum up to the sign that closes `opened`."""
        term = self.total()
        self.need(_CLOSING[opened])
        return term

    def atom(self) -> Term:
        """A number, a letter, a group, a command with its arguments."""
        kind, value, _ = self.next
        if kind == "num":
            self.at += 1
            return self.repeating(value)
        if kind == "sym":
            self.at += 1
            return self.subscripted(value)
        if kind == "op" and value in ("(", "[", "{", "|"):
            self.at += 1
            inner = self.group(value)
            return ("fn", "abs", inner) if value == "|" else inner
        if kind == "cmd":
            self.at += 1
            return self.command(value)
        raise Unreadable(f"no term at {value!r}")

    def repeating(self, digits: str) -> Term:
        r"""A number, its repeating decimals included: `0.1\overline{6}`."""
        token = self.next
        if not (token.value == "overline" and token.kind == "cmd" and "." in digits):
            return ("num", number(digits))
        self.at += 1
        self.need("{")
        period = self.next.value
        if self.next.kind != "num" or not period.isdigit():
            raise Unreadable("no repeating decimals")
        self.at += 1
        self.need("}")
        places = len(digits.partition(".")[2])
        value = Fraction(int(period), 10 ** len(period) - 1) / 10**places
        return ("num", number(digits) + value)

    def subscripted(self, name: str) -> Term:
        """A letter and its index, one symbol together; with an argument where it is a function."""
        if name in _CALLED and self.next.value == "(" and not self.next.gap:
            self.at += 1
            inner = self.total()
            while self.take(","):
                inner = ("add", ("mul", inner, ("sym", "argument")), self.total())
            self.need(")")
            return ("call", name, inner)
        if not self.take("_"):
            return ("sym", _NAMED.get(name, name))
        index = ""
        if self.take("{"):
            while not self.take("}"):
                if self.next is _END:
                    raise Unreadable("an open index")
                index += self.next.value
                self.at += 1
        else:
            index = self.next.value
            self.at += 1
        return ("sym", f"{name}_{index}")

    def command(self, name: str) -> Term:
        """A command that was just stepped over."""
        if name == "frac":
            top = self.argument(whole=False)
            return ("div", top, self.argument(whole=False))
        if name == "sqrt":
            index: Term | None = None
            if self.take("["):
                index = self.group("[")
            inner = self.argument(whole=True)
            return ("fn", "sqrt", inner) if index is None else ("fn", "root", inner, index)
        if name == "binom":
            top = self.argument(whole=False)
            return ("fn", "binom", top, self.argument(whole=False))
        if name in FUNCTIONS:
            return self.function(name)
        if name in _FENCES:
            closing, function = _FENCES[name]
            inner = self.total()
            self.need(closing)
            return ("fn", function, inner)
        if name in GREEK or name in _NAMED:
            return self.subscripted(_NAMED.get(name, name))
        if name == "overline":
            self.need("{")
            letters = ""
            while self.next.kind == "sym":
                letters += self.next.value
                self.at += 1
            self.need("}")
            return ("sym", f"overline {letters}")
        if name == _DEGREE:
            raise Unreadable("a degree sign within a term")
        raise Unreadable(f"the command {name!r}")

    def function(self, name: str) -> Term:
        r"""`\sin x`, `\sin(x)`, `\sin^2 x`, `\log_2 8`."""
        base: Term | None = None
        exponent: Term | None = None
        for _ in range(2):
            if name in ("log", "lg") and self.take("_"):
                base = self.argument(whole=True)
            elif self.take("^"):
                exponent = self.argument(whole=True)
        if self.next.value in ("(", "{", "|") and self.next.kind == "op":
            inner = self.power() if exponent is None else self.atom()
        else:
            inner = self.power()
            while self.starts() and not (self.next.kind == "cmd" and self.next.value in FUNCTIONS):
                inner = ("mul", inner, self.power())
        if name == "exp":
            term: Term = ("pow", ("sym", "e"), inner)
        elif base is not None:
            term = ("div", ("fn", "ln", inner), ("fn", "ln", base))
        elif name == "lg":
            term = ("div", ("fn", "ln", inner), ("fn", "ln", ("num", Fraction(10))))
        else:
            term = ("fn", name, inner)
        if exponent == ("neg", ("num", Fraction(1))) and f"arc{name}" in FUNCTIONS:
            return ("fn", f"arc{name}", inner)
        return term if exponent is None else ("pow", term, exponent)
