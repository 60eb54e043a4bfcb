"""The best checkpoint of an RL run: chosen after each validation by verl's held-out metric.

In: what verl's validation computed. Out: the weights of the best checkpoint kept in the run's
folder (`launch.selection`). A validation at whose step nothing is saved chooses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from conf.errors import ConfigError
from launch.selection import keep


class Selection:
    """Follows the validations of one attempt; does nothing under `selection.checkpoint=last`."""

    def __init__(self, config: DictConfig) -> None:
        """Read the `selection` node."""
        self.active = config.selection.checkpoint == "best"
        self.metric = config.selection.metric
        self.run = Path(config.run.dir)
        self.checkpoints = Path(config.trainer.default_local_dir)
        self.shares: list[float] = []
        self.draws = 0
        self.name: str | None = None

    def saw(self, uids: Sequence[str], verdicts: Mapping[str, Sequence[Any]]) -> None:
        """Take the verdicts of a validation: one a sample, samples of one prompt share a uid."""
        if not self.active:
            return
        if self.name is None:  # a reward manager of verl's own gives no `acc`
            self.name = "acc" if "acc" in verdicts else "reward"
        by_item: dict[str, list[float]] = {}
        for uid, value in zip(uids, verdicts.get(self.name, ()), strict=False):
            # A sample whose verifier failed has no verdict, and is no wrong answer.
            if value is not None and math.isfinite(value):
                by_item.setdefault(uid, []).append(float(value))
        self.draws = sum(len(values) for values in by_item.values())
        self.shares = [math.fsum(values) / len(values) for values in by_item.values()]

    def validated(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Consider the checkpoint of this step, where one was saved.

        Raises:
            ConfigError: `selection.metric` is none of validation's.
        """
        if not self.active:
            return
        facts: dict[str, Any] = {"step": step, "mode": "max"}
        if self.metric is not None:
            if self.metric not in metrics:
                known = ", ".join(sorted(name for name in metrics if name.startswith("val-core/")))
                raise ConfigError(
                    f"selection.metric={self.metric} is no metric of this validation ({known})",
                    "selection.metric=null takes the accuracy over all validated rows",
                )
            facts |= {"metric": self.metric, "value": float(metrics[self.metric])}
        elif self.shares:
            value = math.fsum(self.shares) / len(self.shares)
            facts |= {"metric": self.name, "value": value}
            facts |= {"shares": self.shares, "draws": self.draws}
        else:
            return  # no verdict at all: nothing is known of this checkpoint
        checkpoint = self.checkpoints / f"global_step_{step}"
        if checkpoint.is_dir():
            keep(self.run, checkpoint, facts)
