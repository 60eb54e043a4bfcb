"""What follows from a validation of SFT: the best checkpoint is kept, training ends early.

In: verl's Ray SFT trainer. Out: the same trainer, whose metrics logger counts the evaluation loss
and whose checkpoint handler keeps the best. verl calls neither hook nor callback between a
validation and the next step, so the logger raises, and the loop ends there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from launch.early_stopping import Patience
from launch.run_metrics import read_metrics
from launch.selection import LOSS, by_loss, keep


class StoppedEarlyError(Exception):
    """Leaves verl's training loop."""


class LossWatch:
    """Follows the evaluation loss of one attempt."""

    def __init__(self, config: DictConfig, resumed_at: int) -> None:
        """Take up what earlier attempts recorded until the step it goes on from."""
        rule = config.early_stopping
        self.patience = Patience(rule.patience, float(rule.min_delta))
        self.run = Path(config.run.dir)
        self.checkpoints = Path(config.trainer.default_local_dir)
        self.keeps = config.selection.checkpoint == "best"
        self.resumed_at = resumed_at
        self.losses: dict[int, float] = {}
        for step, data in read_metrics(self.run / "metrics.jsonl")[0]:
            if step <= resumed_at:
                self._count(data, step)

    def _count(self, data: Mapping[str, Any], step: int) -> bool:
        """Take a validation's loss; verl's logger writes one that is no number as null."""
        if LOSS not in data:
            return False
        loss = math.nan if data[LOSS] is None else float(data[LOSS])
        self.losses[step] = loss
        self.patience.add(step, loss)
        return True

    def logged(self, data: Mapping[str, Any], step: int) -> None:
        """Count a validation.

        Raises:
            StoppedEarlyError: it was one too many.
        """
        if self._count(data, step):
            self.check()

    def check(self) -> None:
        """End the training where patience is over.

        Raises:
            StoppedEarlyError: it is.
        """
        if self.patience.over:
            raise StoppedEarlyError

    def saved(self, step: int) -> None:
        """Consider a checkpoint that was validated too."""
        if self.keeps and step in self.losses:
            facts = by_loss(step, self.losses[step])
            keep(self.run, self.checkpoints / f"global_step_{step}", facts)

    def stop(self, save: Callable[..., None], planned: int) -> None:
        """End the run at its last validation, saved like a planned end."""
        step = max(self.losses)
        end = self.patience.stopped(step)
        print(f"stopped early at step {step} of {planned}: {end.why}")
        if step < planned:
            # First: without the checkpoint it is no end, and a killed run goes on.
            end.write(self.run)
        if step > self.resumed_at:
            save(step=step)


@contextmanager
def watched(trainer: Any, module: Any, watch: LossWatch) -> Iterator[None]:
    """Within it, `module.Tracking` and the trainer's checkpoint handler tell `watch`.

    Args:
        trainer: verl's SFT trainer, built.
        module: the module whose `fit` makes a `Tracking`.
        watch: what is told.
    """
    plain: Any = module.Tracking
    handler = trainer.ckpt_handler
    inner = handler.save_checkpoint

    class Tracking(plain):  # type: ignore[misc]
        """verl's logger: records first, then tells."""

        def log(self, data: dict[str, Any], step: int, **kwargs: Any) -> None:
            super().log(data=data, step=step, **kwargs)
            watch.logged(data, step)

    def save_checkpoint(step: int) -> None:
        inner(step=step)
        watch.saved(step)

    module.Tracking, handler.save_checkpoint = Tracking, save_checkpoint
    try:
        yield
    finally:
        module.Tracking = plain
