r"""The slow tier: what only high precision or computer algebra decides. Runs in a worker process.

In: a request with the two answers' texts. Out: whether they are the same, and how that was found.
First the answers that `rewards.math.answers` reads: terms that agree as floats are compared to 60
digits, letters at fixed points. Then math-verify (sympy) for what is not read there (integrals,
sums, limits), its own timers off: the pool kills. A yes of math-verify's stands only if no veto
speaks: it takes a set for a tuple, drops a base, and calls sums equal that share their letters.
Imports sympy, so nothing in the caller's process imports this.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import mpmath  # type: ignore[import-untyped]
from math_verify import LatexExtractionConfig, parse, verify

from rewards.math.answers import read
from rewards.math.compare import Rules, compare
from rewards.math.terms import Term
from rewards.math.tidy import tidy, untext
from rewards.math.tokens import Unreadable

DIGITS: Final = 60
GOLD_STEP: Final = {"gold": True}
_SAME: Final = 45  # leading digits that agree: the same
_POINTS: Final = ("0.73", "1.37", "-0.83")
_OPERATORS = re.compile(r"\\(?:sum|prod|int|iint|oint|lim|ldots|cdots|dots)(?![A-Za-z])")
_NUMERAL = re.compile(r"(?<![A-Za-z}])[0-9A-Z]+\s*_\s*\{?\s*\d+")

_NAMES: Final[dict[str, str]] = {
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    **{"ln": "log", "abs": "fabs", "binom": "binomial"},
}

logging.disable(logging.WARNING)


def _constant(name: str, point: Any) -> Any:
    known = {"π": mpmath.pi, "e": mpmath.e, "i": mpmath.mpc(0, 1), "∞": mpmath.inf}
    if name in known:
        return +known[name]
    shift = sum(ord(letter) * 7**place for place, letter in enumerate(name)) % 89
    return point + mpmath.mpf(shift) / 97


def _precise(term: Term, point: Any) -> Any:
    form = term[0]
    if form == "num":
        return mpmath.mpf(term[1].numerator) / term[1].denominator
    if form == "sym":
        return _constant(term[1], point)
    if form == "neg":
        return -_precise(term[1], point)
    if form == "fn":
        values = [_precise(part, point) for part in term[2:]]
        if term[1] == "root":
            base, index = values
            real = mpmath.im(base) == 0 and mpmath.re(base) < 0 and index % 2 == 1
            return -mpmath.root(-base, int(index)) if real else mpmath.root(base, int(index))
        return getattr(mpmath, _NAMES.get(term[1], str(term[1])))(*values)
    if form == "call":
        raise ValueError("a function that is only named")
    left, right = _precise(term[1], point), _precise(term[2], point)
    if form == "add":
        return left + right
    if form == "mul":
        return left * right
    return left / right if form == "div" else mpmath.power(left, right)


def near(pred: Term, gold: Term) -> bool | None:
    """Whether two terms agree to 45 digits at each point; None where one has no value."""
    with mpmath.workdps(DIGITS):
        for text in _POINTS:
            point = mpmath.mpmathify(text)
            try:
                left, right = _precise(pred, point), _precise(gold, point)
                size = max(abs(left), abs(right))
                apart = abs(left - right)
                if not mpmath.isfinite(size):
                    return None
                if apart > size * mpmath.mpf(10) ** -_SAME:
                    return None if size < mpmath.mpf(10) ** -_SAME else False
            except (
                ArithmeticError,
                ValueError,
                TypeError,
                AttributeError,
                mpmath.mp.NoConvergence,
            ):
                return None
    return True


def _numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+", text))


def vetoed(pred: str, gold: str) -> str:
    """Why a yes of math-verify's does not count; "" when it does."""
    for sign in (
        r"\\\{",
        r"[\[\]]",
        r"\\begin",
        r"[<>]|\\[lg]eq?(?![a-z])",
        r"\\pm",
        "'",
    ):
        if bool(re.search(sign, pred)) != bool(re.search(sign, gold)):
            return f"only one has {sign}"
    if _NUMERAL.findall(pred) != _NUMERAL.findall(gold):
        return "another base"
    if pred.count(",") != gold.count(","):
        return "another number of items"
    if _OPERATORS.search(pred) and _OPERATORS.search(gold) and _numbers(pred) != _numbers(gold):
        return "sums of other numbers"
    return ""


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    config = [LatexExtractionConfig(boxed_match_priority=-1)]
    return parse(f"${text}$", extraction_config=config, parsing_timeout=None)


def _verified(gold: Any, pred: Any) -> bool:
    return bool(verify(gold, pred, float_rounding=12, numeric_precision=50, timeout_seconds=None))


def _algebra(pred: str, gold: str) -> Iterator[dict[str, Any]]:
    """math-verify's answer, after a step once the gold answer has verified against itself."""
    right = _parsed(gold)
    if not right:
        yield {"same": False, "how": "math-verify cannot read the gold answer"}
        return
    _verified(right, right)
    yield GOLD_STEP
    left = _parsed(pred)
    if not left:
        yield {"same": None, "how": "math-verify cannot read the answer"}
        return
    same = _verified(right, left)
    veto = vetoed(untext(pred), untext(gold)) if same else ""
    how = f"math-verify, but {veto}" if veto else "math-verify"
    yield {"same": same and not veto, "how": how}


def decide(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Compare two answers, step by step.

    Args:
        request: `pred`, `gold` and `lenient` (see `Rules`).

    Yields:
        `GOLD_STEP` when the gold answer alone is known to be decided in time; at last `same` (True,
        False, or None when the response's answer cannot be read) and `how`.
    """
    pred, gold = request["pred"], request["gold"]
    try:
        said = compare(read(pred), read(gold), Rules(request["lenient"], near))
        if said is not None:
            yield {"same": said, "how": f"{DIGITS} digits"}
            return
    except Unreadable:
        pass  # math-verify may know more notation
    try:
        yield from _algebra(tidy(pred), tidy(gold))
    except RecursionError:
        yield {"same": None, "how": "nested too deeply for math-verify"}


def warm() -> None:
    """The first use of each part costs seconds: paid here once, before workers are forked."""
    for gold, pred in (
        (r"\int_0^1 2x dx + \frac{1}{2}", r"\sqrt{x} + \sin x"),
        (r"\sum_{k=1}^{4} k", "10"),
        (r"\lim_{n \to \infty} \frac{1}{n}", "x^2 - 1"),
        (r"\begin{cases} 1 & x > 0 \\ 2 & x < 0 \end{cases}", r"\{1, 2\}"),
        ("x + y = 1", r"y = 1 - x"),
        (r"(1, 2) \cup [3, \infty)", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"),
    ):
        left, right = _parsed(pred), _parsed(gold)
        _verified(right, right)
        _verified(right, left)
    near(read(r"\sin x").term, read(r"\cos x").term)
