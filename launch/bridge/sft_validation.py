"""What follows from a validation of SFT: the best checkpoint is kept, training ends early.

In: verl's Ray SFT trainer. Out: the same trainer, whose metrics logger counts the evaluation loss
and whose checkpoint handler keeps the best. verl calls neither hook nor callback between a
validation and the next step, so the logger raises, and the loop ends there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from launch.early_stopping import Patience, Stopped
from launch.run_metrics import read_metrics
from launch.selection import keep

LOSS = "val/loss"


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
        self.losses: dict[int, float] = {}
        for step, data in read_metrics(self.run / "metrics.jsonl")[0]:
            if step <= resumed_at and LOSS in data:
                self.patience.add(step, float(data[LOSS]))

    def logged(self, data: dict[str, Any], step: int) -> None:
        """Count a validation.

        Raises:
            StoppedEarlyError: it was one too many.
        """
        if LOSS not in data:
            return
        self.losses[step] = float(data[LOSS])
        self.patience.add(step, self.losses[step])
        if self.patience.over:
            raise StoppedEarlyError

    def saved(self, step: int) -> None:
        """Keep a checkpoint that validation has just found to be the best."""
        if self.keeps and step in self.losses:
            facts = {"step": step, "metric": LOSS, "mode": "min", "value": self.losses[step]}
            keep(self.run, self.checkpoints / f"global_step_{step}", facts)

    def stop(self, trainer: Any, planned: int) -> None:
        """End the run at its last validation, saved like a planned end."""
        step = max(self.losses)
        assert self.patience.patience is not None
        end = Stopped(
            step, self.patience.best_step, self.patience.best, self.patience.patience,
            self.patience.min_delta,
        )  # fmt: skip
        print(f"{end.sentence} (of {planned} planned)")
        if step < planned:
            # First: without the checkpoint it is no end, and a killed run goes on.
            end.write(self.run)
        trainer.ckpt_handler.save_checkpoint(step=step)


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
