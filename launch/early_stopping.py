"""Early stopping: has the evaluation loss stopped falling, and did a run end because of it?

In: the validations of an SFT run, step by step. Out: whether to stop, and `stopped.json` in the
run's folder, which makes the step at which it stopped the run's last. The trainer's side is in
`launch.bridge.sft_validation`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conf.atomic import write_json, writing

FILE = "stopped.json"


@dataclass
class Patience:
    """Counts the validations since the loss last fell (as Keras' and transformers' callbacks do).

    Attributes:
        patience: so many validations without a fall end the training; None: never.
        min_delta: a fall is more than this, nats a token.
        reference: the loss that the next ones must fall below; infinite before the first.
        since: its step.
        waited: validations since then.
    """

    patience: int | None
    min_delta: float
    reference: float = math.inf
    since: int = 0
    waited: int = 0

    def add(self, step: int, loss: float) -> None:
        """Take one validation; a loss that is no number is no fall."""
        if loss < self.reference - self.min_delta:
            self.reference, self.since, self.waited = loss, step, 0
        else:
            self.waited += 1

    @property
    def over(self) -> bool:
        """Whether training is to end."""
        return self.patience is not None and self.waited >= self.patience

    def stopped(self, step: int) -> Stopped:
        """The end that this is, at a step."""
        assert self.patience is not None
        fell = f"did not fall below {self.reference:.4g} (step {self.since})"
        if self.min_delta:
            fell += f" by more than {self.min_delta:g}"
        if math.isinf(self.reference):
            fell = "was no number"
        why = f"in {self.patience} validations val/loss {fell}"
        return Stopped(step, self.patience, self.min_delta, why)


@dataclass(frozen=True)
class Stopped:
    """An early stop: its step, the rule that it followed, and the reason in words."""

    step: int
    patience: int
    min_delta: float
    why: str

    def write(self, run: Path) -> None:
        """Leave it in the run's folder."""
        with writing(run / FILE):
            write_json(run / FILE, asdict(self))


def stopped(run: Path, rule: Mapping[str, Any] | None) -> Stopped | None:
    """The early stop of a run under this rule (`early_stopping` of its configuration), or None.

    A run that stopped under another rule goes on.
    """
    file = run / FILE
    if rule is None or not file.is_file():
        return None
    found = Stopped(**json.loads(file.read_text(encoding="utf-8")))
    same = (found.patience, found.min_delta) == (rule["patience"], rule["min_delta"])
    return found if same else None


def forget(run: Path) -> None:
    """Training goes on: the step that was the last is one of many."""
    with writing(run / FILE):
        (run / FILE).unlink(missing_ok=True)
