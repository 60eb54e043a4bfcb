"""The filter `pairs`: a chosen answer must differ from the rejected one.

In: preference and reward-model rows; others pass. Out: a finding for an empty side, equal sides,
sides that differ in white space, case or punctuation alone, and sides that share nearly all of
their word n-grams while every figure is the same. A pair whose sides differ in one number is kept:
that number may be the point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from data_prep.filters.base import Finding, Row, RowFilter, kind_of, text_of
from data_prep.filters.text import figures_of, normal_form, words_of


def similarity(left: str, right: str, n: int = 3) -> float:
    """Jaccard similarity of two texts' word n-grams; of their words when one has fewer than n."""
    words = words_of(left), words_of(right)
    n = max(1, min(n, *map(len, words)))
    first, second = ({tuple(w[i : i + n]) for i in range(len(w) - n + 1)} for w in words)
    return len(first & second) / len(first | second) if first | second else 1.0


class Pairs(RowFilter):
    """The filter `pairs`.

    Attributes:
        near: similarity from which two answers are nearly equal; 1: only equal ones are.
    """

    name: ClassVar[str] = "pairs"
    reasons: ClassVar[Mapping[str, str]] = {
        "pair_empty": "the chosen or the rejected answer is empty",
        "pair_equal": "chosen and rejected are the same",
        "pair_near": "chosen and rejected are nearly the same",
    }

    near: float = Field(default=0.9, gt=0, le=1)

    def judge_row(self, row: Row) -> Finding | None:
        """The pair of this row."""
        if kind_of(row) != "preference":
            return None
        chosen, rejected = text_of(row, "answer"), text_of(row, "rejected")
        if not chosen.strip() or not rejected.strip():
            return self.found("pair_empty", "chosen" if not chosen.strip() else "rejected")
        if chosen.strip() == rejected.strip():
            return self.found("pair_equal")
        if " ".join(chosen.split()) == " ".join(rejected.split()):
            return self.found("pair_equal", "but for white space")
        form = normal_form(chosen)
        if form and form == normal_form(rejected):
            return self.found("pair_near", "but for case and punctuation")
        if self.near < 1 and figures_of(chosen) == figures_of(rejected):
            value = similarity(chosen, rejected)
            if value >= self.near:
                return self.found("pair_near", f"{value:.2f} of the word triples are the same")
        return None
