"""Where two graders disagree, and what that says of each one's errors.

In: two graders' verdicts on the same responses, and, on the disagreements, a person's labels or a
referee's. Out: counts with Wilson intervals. Two graders alone bound their errors only together:
every disagreement is an error of one of them. Runs no grader.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Z95: Final = 1.959963984540054
SIDES: Final = ("a", "b")
# 95% limits of a share, from whether each response counts; None: left out.
Limits = Callable[[Sequence[bool | None]], tuple[float, float]]
Kind = Literal["both right", "both wrong", "only a", "only b", "no verdict"]


@dataclass(frozen=True)
class Judged:
    """One response under both graders.

    Attributes:
        a: whether grader a says right; None when it gave no verdict.
        b: the same of grader b.
        truth: what a person or the referee says; None when nobody does.
    """

    a: bool | None
    b: bool | None
    truth: bool | None = None

    @property
    def kind(self) -> Kind:
        """How the two stand to each other."""
        if self.a is None or self.b is None:
            return "no verdict"
        if self.a == self.b:
            return "both right" if self.a else "both wrong"
        return "only a" if self.a else "only b"


@dataclass(frozen=True)
class ErrorRate:
    """One grader's estimated error.

    Attributes:
        false_positives: says right, and it is not.
        false_negatives: says wrong, and it is not.
        undecided: disagreements on which nobody decided; each may be this grader's error.
        n: responses with both verdicts.
    """

    false_positives: int
    false_negatives: int
    undecided: int
    n: int

    @property
    def errors(self) -> int:
        """Both kinds."""
        return self.false_positives + self.false_negatives

    def interval(self) -> tuple[float, float]:
        """95%: Wilson's, its upper end with every undecided case charged."""
        return wilson(self.errors, self.n)[0], wilson(self.errors + self.undecided, self.n)[1]


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share (Wilson 1927); (0, 1) of nothing."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = k / n, Z95 * Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # Rounding must not leave 1e-19 where the bound is 0.
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


def error_rates(judged: Sequence[Judged], labelled: bool) -> tuple[ErrorRate, ErrorRate]:
    """Each grader's error.

    Args:
        judged: all responses.
        labelled: the truths are a person's and count wherever they are; else they are a referee's,
            who is asked on disagreements only, and agreements are taken to be right.
    """
    both = [one for one in judged if one.a is not None and one.b is not None]
    if labelled:
        both = [one for one in both if one.truth is not None]
    counts = []
    for side in SIDES:
        said = [(getattr(one, side), one) for one in both]
        asked = [(s, one) for s, one in said if labelled or one.a != one.b]
        counts.append(
            ErrorRate(
                false_positives=sum(s and one.truth is False for s, one in asked),
                false_negatives=sum(not s and one.truth is True for s, one in asked),
                undecided=sum(one.truth is None for _, one in asked),
                n=len(both),
            )
        )
    return counts[0], counts[1]


def error_limits(judged: Sequence[Judged], side: str, limits: Limits) -> tuple[float, float]:
    """`ErrorRate.interval` where responses are not independent, by other limits than Wilson's.

    Args:
        judged: all responses; the truths are a referee's.
        side: of `SIDES`.
        limits: of a share of these responses.
    """

    def flags(undecided: bool) -> list[bool | None]:
        return [
            None
            if one.kind == "no verdict"
            else one.a != one.b
            and (undecided if one.truth is None else getattr(one, side) != one.truth)
            for one in judged
        ]

    return limits(flags(undecided=False))[0], limits(flags(undecided=True))[1]
