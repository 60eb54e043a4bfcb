"""What a reward says about one response: a verdict, not a bare float.

In: what a grader found. Out: a frozen `Verdict`, and its flat form for verl. A failed verifier is
not a wrong answer: the statuses `verifier_error` and `gold_error` carry no score, and `to_verl`
refuses to make a number of them. Nothing here grades.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from conf.errors import RewardError

Status = Literal["correct", "wrong", "unparseable", "timeout", "verifier_error", "gold_error"]
STATUSES: Final[tuple[str, ...]] = get_args(Status)
BROKEN: Final = frozenset({"verifier_error", "gold_error"})  # the sample says nothing of the model
COMPONENT_PREFIX: Final = "component_"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One response, judged.

    Attributes:
        score: what training uses, finite; NaN exactly when the status is broken.
        acc: unshaped correctness in [0, 1], whatever the shaping; NaN when broken.
        pred: the answer that was read out of the response, "" when none was.
        status: see `STATUSES`.
        components: named parts of the score; the same names for every sample of a run.
        detail: one line on why, for records and messages.
    """

    score: float
    acc: float
    status: Status
    pred: str = ""
    components: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""

    def __post_init__(self) -> None:
        """Refuse what would later be a silent wrong number."""
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is not one of {', '.join(STATUSES)}")
        if self.status in BROKEN:
            if not (math.isnan(self.score) and math.isnan(self.acc)):
                raise ValueError(f"a {self.status} has no score: score and acc must be NaN")
            return
        if not math.isfinite(self.score):
            raise ValueError(f"score must be finite, got {self.score!r}")
        if not 0.0 <= self.acc <= 1.0:
            raise ValueError(f"acc must lie in [0, 1], got {self.acc!r}")
        for name, value in self.components.items():
            if not math.isfinite(value):
                raise ValueError(f"component {name!r} must be finite, got {value!r}")

    @property
    def broken(self) -> bool:
        """True when the verifier or the gold answer failed, not the model."""
        return self.status in BROKEN

    def to_verl(self) -> dict[str, float | str]:
        """Flat dict for verl's reward manager: fixed keys, each value a number or a string.

        Raises:
            RewardError: when the verdict is broken. verl then drops the sample; a 0 would train.
        """
        if self.broken:
            raise RewardError(
                f"no score: {self.status}: {self.detail}",
                fix="mend the reward or the row; a broken verdict is never turned into a 0",
            )
        flat: dict[str, float | str] = {
            "score": float(self.score),
            "acc": float(self.acc),
            "pred": self.pred,
            "status": self.status,
            "detail": self.detail,
        }
        for name in sorted(self.components):
            flat[COMPONENT_PREFIX + name] = float(self.components[name])
        return flat


def correct(pred: str, detail: str = "") -> Verdict:
    """The answer is right: score 1."""
    return Verdict(1.0, 1.0, "correct", pred, detail=detail)


def wrong(pred: str, detail: str = "") -> Verdict:
    """An answer was read and it is not the gold one: score 0."""
    return Verdict(0.0, 0.0, "wrong", pred, detail=detail)


def unparseable(detail: str, pred: str = "") -> Verdict:
    """The response holds no readable answer: score 0, the model's fault."""
    return Verdict(0.0, 0.0, "unparseable", pred, detail=detail)


def timeout(detail: str, pred: str = "") -> Verdict:
    """The response made the verifier run out of time: score 0, the model's fault.

    Only for what the response caused: its own code's limit, or mathematics that no verifier
    finishes although gold against gold does. A slow verifier is a `verifier_error`.
    """
    return Verdict(0.0, 0.0, "timeout", pred, detail=detail)


def gold_error(detail: str) -> Verdict:
    """The row's gold answer cannot be used: no score."""
    return Verdict(math.nan, math.nan, "gold_error", detail=detail)


def verifier_error(detail: str) -> Verdict:
    """The verifier failed: no score."""
    return Verdict(math.nan, math.nan, "verifier_error", detail=detail)
