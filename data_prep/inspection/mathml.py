r"""LaTeX as a browser shows it without help: MathML, by a small translator of our own.

In: a text with `$…$`, `$$…$$`, `\(…\)`, `\[…\]`. Out: HTML, everything else escaped. It knows what
answers in mathematics are full of: fractions, roots, scripts, Greek, operators, boxes, texts,
matrices. A formula with a command that it does not know stays as its source, in a `code`, so that
nothing is shown wrongly. Lays out nothing: the browser does.
"""

from __future__ import annotations

import html
import re
from typing import Any, Final

_FORMULA = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\$\w])\$(?=[^\s$])([^$\n]{1,400}?)(?<=[^\s\\])\$(?!\d)"
    r"|(\\begin\{(align\*?|aligned|gathered|[pbv]?matrix|cases|array)\}.+?\\end\{\6\})",
    re.DOTALL,
)
_TOKEN = re.compile(r"\\([A-Za-z]+|.)|(\d+(?:[.,]\d+)*)|([A-Za-z])|(\s+)|(.)", re.DOTALL)


def _table(text: str) -> dict[str, str]:
    """Names and code points, one after the other."""
    words = text.split()
    return {name: chr(int(code, 16)) for name, code in zip(words[::2], words[1::2], strict=True)}


_GREEK: Final = _table(
    """alpha 3b1 beta 3b2 gamma 3b3 delta 3b4 epsilon 3f5 varepsilon 3b5 zeta 3b6 eta 3b7 theta 3b8
    iota 3b9 kappa 3ba lambda 3bb mu 3bc nu 3bd xi 3be pi 3c0 rho 3c1 sigma 3c3 tau 3c4 upsilon 3c5
    phi 3d5 varphi 3c6 chi 3c7 psi 3c8 omega 3c9 Gamma 393 Delta 394 Theta 398 Lambda 39b Xi 39e
    Pi 3a0 Sigma 3a3 Phi 3a6 Psi 3a8 Omega 3a9 ell 2113 infty 221e partial 2202 nabla 2207
    emptyset 2205 varnothing 2205"""
)
_SIGNS: Final = _table(
    """times d7 cdot 22c5 div f7 pm b1 mp 2213 le 2264 leq 2264 ge 2265 geq 2265 ne 2260 neq 2260
    approx 2248 equiv 2261 sim 223c cong 2245 to 2192 rightarrow 2192 Rightarrow 21d2 implies 27f9
    iff 27fa leftarrow 2190 mapsto 21a6 in 2208 notin 2209 subset 2282 subseteq 2286 cup 222a
    cap 2229 setminus 2216 forall 2200 exists 2203 sum 2211 prod 220f int 222b circ 2218 angle 2220
    triangle 25b3 perp 22a5 parallel 2225 mid 2223 lfloor 230a rfloor 230b lceil 2308 rceil 2309
    langle 27e8 rangle 27e9 ldots 2026 dots 2026 cdots 22ef vdots 22ee degree b0 prime 2032
    star 22c6 ast 2217 bullet 2219 land 2227 lor 2228 neg ac therefore 2234
    leqslant 2a7d geqslant 2a7e nmid 2224 Leftrightarrow 21d4 Longleftrightarrow 27fa
    Longrightarrow 27f9 prec 227a searrow 2198 vee 2228 wedge 2227 odot 2299 oplus 2295 square 25a1
    doteq 2250 diamond 22c4 bigcup 22c3 bigcap 22c2 dagger 2020 dotsb 22ef dotsm 22ef dotsc 2026
    ll 226a gg 226b propto 221d backslash 5c
    lt 3c gt 3e vert 7c colon 3a % 25 $ 24 & 26 # 23 _ 5f { 7b } 7d | 2016"""
)
_SPACES: Final = {",": 0.17, ":": 0.22, ";": 0.28, "!": 0, " ": 0.25, "quad": 1, "qquad": 2}
_NAMES: Final = frozenset(
    ("sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "lim", "max", "min", "gcd",
     "lcm", "mod", "det", "dim", "arcsin", "arccos", "arctan", "arg", "inf", "sup", "sinh", "cosh")
)  # fmt: skip
_TEXTS: Final = frozenset(
    (
        "text",
        "mathrm",
        "textbf",
        "mathbf",
        "textit",
        "operatorname",
        "mbox",
        "mathbb",
        "mathcal",
        "textnormal",
        "boldsymbol",
        "bold",
        "mathfrak",
        "emph",
        "mathsf",
    )
)
_SPACED: Final = frozenset(
    ("left", "right", "big", "Big", "bigg", "Bigg", "displaystyle", "limits", "nolimits")
)
_ENVIRONMENTS: Final = ("matrix", "pmatrix", "bmatrix", "vmatrix", "cases", "array", "aligned",
                        "align", "align*", "gathered")  # fmt: skip
_FENCES: Final = {"pmatrix": "()", "bmatrix": "[]", "vmatrix": "||", "cases": "{"}
_ACCENTS: Final = {
    **dict.fromkeys(("overline", "bar"), "\u00af"),
    "overleftrightarrow": "\u2194",
    **dict.fromkeys(("vec", "overrightarrow"), "\u2192"),
    **dict.fromkeys(("hat", "widehat"), "^"),
}
DEEPEST: Final = 40


def tables() -> dict[str, Any]:
    """What this translator knows, as plain data, for one that runs in a browser."""
    return {
        "formula": _FORMULA.pattern,
        "token": _TOKEN.pattern,
        "greek": _GREEK,
        "signs": _SIGNS,
        "spaces": _SPACES,
        "names": sorted(_NAMES),
        "texts": sorted(_TEXTS),
        "spaced": sorted(_SPACED),
        "environments": list(_ENVIRONMENTS),
        "fences": _FENCES,
        "accents": _ACCENTS,
        "deepest": DEEPEST,
    }


class Unknown(ValueError):
    """A formula that this translator does not know."""


class _Reader:
    """One formula, token by token."""

    def __init__(self, formula: str) -> None:
        self.tokens = [m for m in _TOKEN.finditer(formula) if m[4] is None]
        self.text = formula
        self.at = 0
        self.depth = 0

    def peek(self) -> str:
        """The next token; "" at the end."""
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        """The next token, gone past."""
        token = self.peek()
        if not token:
            raise Unknown("ends too early")
        self.at += 1
        return token

    def raw_group(self) -> str:
        """The source within the next braces."""
        if self.take() != "{":
            raise Unknown("no braces")
        start, depth = self.tokens[self.at - 1].end(), 1
        while depth:
            token = self.take()
            depth += (token == "{") - (token == "}")
        return self.text[start : self.tokens[self.at - 1].start()]

    def row(self, *ends: str) -> str:
        """Atoms with their scripts up to one of the ends, which is left standing."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unknown("nested too deep")
        made = []
        while (token := self.peek()) not in ends:
            if not token:
                raise Unknown("ends too early")
            made.append(self.scripted())
        self.depth -= 1
        return "".join(made)

    def scripted(self) -> str:
        """An atom, and what hangs on it."""
        base = "<mrow></mrow>" if self.peek() in ("^", "_") else self.atom()
        below = above = ""
        while self.peek() in ("^", "_", "'"):
            sign = self.take()
            if sign == "_":
                below = self.argument()
            else:
                above += self.argument() if sign == "^" else "<mo>\u2032</mo>"
        if below and above:
            return f"<msubsup>{base}{below}<mrow>{above}</mrow></msubsup>"
        if below:
            return f"<msub>{base}{below}</msub>"
        return f"<msup>{base}<mrow>{above}</mrow></msup>" if above else base

    def argument(self) -> str:
        """One thing after a command or a script's sign: of a number, its first digit."""
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if token is not None and token[2] is not None and len(token[2]) > 1:
            first = _TOKEN.match(self.text, token.start(), token.start() + 1)
            rest = _TOKEN.match(self.text, token.start() + 1)
            assert first is not None and rest is not None
            self.tokens[self.at : self.at + 1] = [first, rest]
        return self.atom()

    def atom(self) -> str:
        """One thing."""
        token = self.take()
        if token == "{":
            made = self.row("}")
            self.take()
            return f"<mrow>{made}</mrow>"
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token.startswith("\\"):
            return self.command(token[1:])
        if token in ("}", "&"):
            raise Unknown(f"a lone {token}")
        return f"<mo>{html.escape(token.replace('~', ' ').replace('-', chr(0x2212)))}</mo>"

    def command(self, name: str) -> str:
        """What begins with a backslash."""
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        if name in ("binom", "dbinom"):
            inner = f"<mfrac linethickness='0'>{self.argument()}{self.argument()}</mfrac>"
            return f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"
        if name == "sqrt":
            if self.peek() == "[":
                self.take()
                degree = self.row("]")
                self.take()
                return f"<mroot>{self.argument()}<mrow>{degree}</mrow></mroot>"
            return f"<msqrt>{self.argument()}</msqrt>"
        if name in ("boxed", "fbox"):
            return f"<mrow class='boxed'>{self.argument()}</mrow>"
        if name in _ACCENTS:
            return f"<mover>{self.argument()}<mo>{_ACCENTS[name]}</mo></mover>"
        if name in _TEXTS:
            words = self.raw_group().replace(" ", chr(0xA0))  # or the ends are trimmed
            return f"<mtext>{html.escape(words)}</mtext>"
        if name in _SPACED:
            if name in ("left", "right") and self.peek() == ".":
                self.take()
            return ""
        if name in _GREEK:
            return f"<mi>{_GREEK[name]}</mi>"
        if name in _NAMES:
            return f"<mi>{name}</mi>"
        if name in ("pmod", "bmod"):
            inner = self.argument() if name == "pmod" else ""
            return (
                f"<mrow><mo>(</mo><mi>mod</mi>{inner}<mo>)</mo></mrow>" if inner else "<mi>mod</mi>"
            )
        if name in _SPACES:
            return f"<mspace width='{_SPACES[name]}em'/>"
        if name in _SIGNS:
            return f"<mo>{html.escape(_SIGNS[name])}</mo>"
        if name == "begin":
            return self.environment()
        if name == "\\":
            return "<mspace linebreak='newline'/>"
        raise Unknown(f"\\{name}")

    def environment(self) -> str:
        """A matrix and its kin."""
        name = self.raw_group()
        if name not in _ENVIRONMENTS:
            raise Unknown(name)
        if name == "array" and self.peek() == "{":
            self.raw_group()
        rows: list[list[str]] = [[]]
        while True:
            rows[-1].append(f"<mtd>{self.row('&', chr(92) * 2, chr(92) + 'end')}</mtd>")
            sign = self.take()
            if sign == "\\end":
                self.raw_group()
                break
            if sign == "\\\\":
                rows.append([])
        table = "".join(f"<mtr>{''.join(cells)}</mtr>" for cells in rows)
        fences = _FENCES.get(name, "")
        opened = f"<mo>{fences[0]}</mo>" if fences else ""
        closed = f"<mo>{fences[1]}</mo>" if len(fences) > 1 else ""
        return f"<mrow>{opened}<mtable>{table}</mtable>{closed}</mrow>"


def mathml(formula: str, *, block: bool = False) -> str:
    """A formula as MathML, or as its source where a command is not known."""
    try:
        inner = _Reader(formula.strip()).row("")
    except Unknown:
        return f"<code>{html.escape(formula)}</code>"
    display = " display='block'" if block else ""
    return f"<math{display}><mrow>{inner}</mrow></math>"


def with_maths(text: str) -> str:
    """A text as HTML, its formulas rendered."""
    made, last = [], 0
    for found in _FORMULA.finditer(text):
        made.append(_with_boxes(text[last : found.start()]))
        formula = next(part for part in found.groups() if part is not None)
        made.append(mathml(formula, block=any(found[i] is not None for i in (1, 2, 5))))
        last = found.end()
    made.append(_with_boxes(text[last:]))
    return "".join(made)


def _with_boxes(text: str) -> str:
    r"""A text without formulas; a bare `\boxed{…}`, as answers end with, is one."""
    made, last = [], 0
    while (start := text.find("\\boxed{", last)) >= 0:
        end, depth = start + 7, 1
        while depth and end < len(text):
            depth += (text[end] == "{") - (text[end] == "}")
            end += 1
        if depth:
            break
        made += [html.escape(text[last:start]), mathml(text[start:end])]
        last = end
    return "".join([*made, html.escape(text[last:])])
