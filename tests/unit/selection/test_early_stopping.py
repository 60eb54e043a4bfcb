"""When the evaluation loss has stopped falling, and what a run remembers of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from launch.bridge.sft_validation import LossWatch, StoppedEarlyError, watched
from launch.early_stopping import Patience, Stopped, forget, stopped


@pytest.mark.parametrize(
    ("patience", "min_delta", "losses", "end", "since"),
    [
        (2, 0.0, [3.0, 2.0, 2.1, 2.2, 1.0], 4, 2),
        (2, 0.0, [3.0, 2.0, 2.1, 1.9, 2.0, 2.0], 6, 4),
        (1, 0.0, [3.0, 3.0], 2, 1),  # as much is no fall
        (2, 0.5, [3.0, 2.6, 2.4, 2.2, 2.0], 5, 3),  # 2.4 is 0.6 below 3.0; 2.0 only 0.4 below it
        (1, 0.0, [float("nan")], 1, 0),
        (None, 0.0, [3.0, 4.0, 5.0], None, 1),
    ],
)
def test_patience(
    patience: int | None, min_delta: float, losses: list[float], end: int | None, since: int
) -> None:
    counted = Patience(patience, min_delta)
    ended = None
    for step, loss in enumerate(losses, start=1):
        counted.add(step, loss)
        if counted.over:
            ended = step
            break
    assert (ended, counted.since) == (end, since)


def test_a_stop_holds_for_its_own_rule_only(tmp_path: Path) -> None:
    Stopped(step=15, patience=2, min_delta=0.1, why="so").write(tmp_path)
    assert stopped(tmp_path, {"patience": 2, "min_delta": 0.1}) == Stopped(15, 2, 0.1, "so")
    assert stopped(tmp_path, {"patience": 5, "min_delta": 0.1}) is None
    assert stopped(tmp_path, None) is None
    forget(tmp_path)
    forget(tmp_path)
    assert stopped(tmp_path, {"patience": 2, "min_delta": 0.1}) is None


@pytest.mark.parametrize(
    ("min_delta", "losses", "why"),
    [
        (0.0, [1.5, 1.6, 1.5], "in 2 validations val/loss did not fall below 1.5 (step 1)"),
        (3.0, [4.0, 2.0, 1.5],
         "in 2 validations val/loss did not fall below 4 (step 1) by more than 3"),
        (0.0, [float("nan"), float("nan")], "in 2 validations val/loss was no number"),
    ],
)  # fmt: skip
def test_the_reason_is_the_rule_that_was_applied(
    min_delta: float, losses: list[float], why: str
) -> None:
    counted = Patience(2, min_delta)
    for step, loss in enumerate(losses, start=1):
        counted.add(step, loss)
    assert counted.over and counted.stopped(9) == Stopped(9, 2, min_delta, why)


class Tracking:
    """In verl's place: a logger that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, dict[str, float]]] = []

    def log(self, data: dict[str, float], step: int) -> None:
        self.lines.append((step, data))


class Trainer:
    """verl's loop in small: log, validate every other step, save every other step."""

    def __init__(self, run: Path, module: Any, losses: dict[int, float]) -> None:
        self.run, self.module, self.losses = run, module, losses
        self.saved: list[int] = []
        self.ckpt_handler = SimpleNamespace(save_checkpoint=self.save)

    def save(self, step: int) -> None:
        self.saved.append(step)
        folder = self.run / "checkpoints" / f"global_step_{step}" / "huggingface"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")

    def fit(self, first: int) -> None:
        tracking = self.module.Tracking()
        for step in range(first, 9):
            tracking.log(data={"train/loss": 1.0}, step=step)
            if step in self.losses:
                tracking.log(data={"val/loss": self.losses[step]}, step=step)
            if step % 2 == 0:
                self.ckpt_handler.save_checkpoint(step=step)


def config(run: Path, patience: int | None, chosen: str = "best") -> DictConfig:
    return OmegaConf.create(
        {
            "run": {"dir": str(run)},
            "trainer": {"default_local_dir": str(run / "checkpoints")},
            "early_stopping": {"patience": patience, "min_delta": 0.0},
            "selection": {"checkpoint": chosen},
        }
    )


def fit(run: Path, losses: dict[int, float], patience: int | None, first: int = 1) -> Trainer:
    module = SimpleNamespace(Tracking=Tracking)
    trainer = Trainer(run, module, losses)
    watch = LossWatch(config(run, patience), first - 1)
    with watched(trainer, module, watch):
        try:
            watch.check()
            trainer.fit(first)
        except StoppedEarlyError:
            watch.stop(trainer.ckpt_handler.save_checkpoint, planned=8)
    assert module.Tracking is Tracking
    return trainer


def test_training_ends_at_the_validation_and_saves_it(tmp_path: Path) -> None:
    trainer = fit(tmp_path, {2: 2.0, 3: 2.5, 5: 2.4, 7: 1.0}, patience=2)
    assert trainer.saved == [2, 4, 5]
    rule = {"patience": 2, "min_delta": 0.0}
    found = stopped(tmp_path, rule)
    assert found is not None and found.step == 5 and "below 2 (step 2)" in found.why
    # 4 was saved without a validation of its own, 5 is worse than 2.
    assert {path.name for path in tmp_path.glob("best/global_step_*")} == {"global_step_2"}
    said = json.loads((tmp_path / "best" / "considered.json").read_text())["values"]
    assert said == {"2": 2.0, "5": 2.4}


def test_an_end_at_the_planned_step_is_no_early_one(tmp_path: Path) -> None:
    trainer = fit(tmp_path, {2: 2.0, 8: 2.5}, patience=1)
    assert trainer.saved[-1] == 8 and stopped(tmp_path, {"patience": 1, "min_delta": 0.0}) is None


def test_without_patience_it_goes_to_the_end_and_keeps_the_best(tmp_path: Path) -> None:
    assert fit(tmp_path, {2: 2.0, 4: 1.5, 6: 1.8}, patience=None).saved == [2, 4, 6, 8]
    found = {path.name for path in tmp_path.glob("best/global_step_*")}
    assert found == {"global_step_2", "global_step_4"}


def recorded(run: Path, losses: dict[int, float | None]) -> None:
    lines = [json.dumps({"step": at, "data": {"val/loss": loss}}) for at, loss in losses.items()]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def test_a_resumed_run_counts_what_was_validated_before_it(tmp_path: Path) -> None:
    # 6 lies beyond the checkpoint it goes on from.
    recorded(tmp_path, {2: 2.0, 4: 2.5, 6: 1.0})
    trainer = fit(tmp_path, {6: 2.1}, patience=2, first=5)
    assert trainer.saved == [6]
    found = stopped(tmp_path, {"patience": 2, "min_delta": 0.0})
    assert found is not None and found.step == 6 and "(step 2)" in found.why


def test_a_loss_that_was_no_number_lets_the_run_go_on(tmp_path: Path) -> None:
    recorded(tmp_path, {2: None, 4: 2.5})  # verl's logger writes null for it
    assert fit(tmp_path, {6: 2.1}, patience=2, first=5).saved == [6, 8]


def test_less_patience_than_has_been_waited_ends_at_once(tmp_path: Path) -> None:
    recorded(tmp_path, {2: 2.0, 4: 2.5})
    trainer = fit(tmp_path, {6: 1.0}, patience=1, first=5)
    found = stopped(tmp_path, {"patience": 1, "min_delta": 0.0})
    assert trainer.saved == [] and found is not None and found.step == 4
