r"""Responses that are costly to judge as mathematics: numbers, nesting, repetition, algebra.

In: nothing. Out: `RESPONSES`, none of which is a right answer to anything the tests ask, and of
these the names of those that no grader finishes. Shared by the limits' tests and their bench.
"""

from __future__ import annotations

from typing import Final

# These reach computer algebra, and one of them at a time takes the whole deadline.
ALGEBRAIC: Final = {
    "integral": r"\boxed{\int_0^1 x^{x^{x^{x}}} dx}",
    "product": r"\boxed{\prod_{k=1}^{100000} (1+x^k)}",
}
RESPONSES: Final = {
    **ALGEBRAIC,
    "factorial": r"\boxed{1000000000!}",
    "factorial of a power": r"\boxed{(10^9)!}",
    "tower": r"\boxed{9^{9^{9^9}}}",
    "plain tower": r"\boxed{9^9^9^9}",
    "tower of tens": r"\boxed{10^{10^{10^{10}}}}",
    "exponent": r"\boxed{1e999999999}",
    "small": r"\boxed{1e-999999999}",
    "power of ten": r"\boxed{10^{1000000000}}",
    "binomial": r"\boxed{\binom{10^9}{10^8}}",
    "central binomial": r"\boxed{\binom{10^9}{5 \cdot 10^8}}",
    "sine": r"\boxed{\sin(10^{10^{10}})}",
    "expansion": r"\boxed{(1+x+y+z)^{1000000}}",
    "expansion of six": r"\boxed{(a+b+c+d+e+f)^{400}}",
    "boxed digits": r"\boxed{" + "7" * 100_000 + "}",
    "digits": "#### " + "9" * 100_000,
    "sum": r"\boxed{" + "x+" * 50_000 + "1}",
    "commas": "#### " + "1," * 50_000,
    "boxed commas": r"\boxed{" + "1," * 50_000 + "5}",
    "words": "w" * 100_000,
    "dollars": "$" * 100_000,
    "blanks": "Answer:" + " " * 100_000 + "6",
    "minus": r"\boxed{" + "-" * 100_000 + "5}",
    "nested fractions": r"\boxed{" + r"\frac{1}{" * 10_000 + "2" + "}" * 10_001,
    "fewer fractions": r"\boxed{" + r"\frac{1}{" * 3000 + "2" + "}" * 3001,
    "roots": r"\boxed{" + r"\sqrt{" * 60 + "2" + "}" * 61,
    "more roots": r"\boxed{" + r"\sqrt{" * 2000 + "2" + "}" * 2001,
    "parentheses": r"\boxed{" + "(" * 20_000 + "1" + ")" * 20_000 + "}",
    "more parentheses": r"\boxed{" + "(" * 50_000 + "5" + ")" * 50_000 + "}",
    "open braces": r"\boxed{" + "{" * 100_000,
    "boxes": r"\boxed{" * 20_000,
    "left braces": r"\boxed{\left(" + r"\left\{" * 300 + "}",
    "markers": "#### " * 30_000,
    "answers": "answer is " * 10_000,
    "labels": "the answer is " * 10_000,
    "open tags": "<answer>" * 20_000,
    "thoughts": "<think>" * 20_000,
    "zero byte": "\\boxed{6\x00}",
    "surrogate": "\\boxed{\ud8006}",
    "separators": "\\boxed{6\u2028\u2029\x85\n\r}",
    "combining": "\\boxed{6" + "\u0301" * 50_000 + "}",
}
LATE: Final = {*ALGEBRAIC, "factorial", "factorial of a power", "tower"}
