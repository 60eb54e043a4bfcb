"""Validation must be able to decide what it is asked to decide."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from launch.preflight.checks_selection import check_selection
from launch.preflight.lines import Status
from launch.preflight.settings import Settings

Build = Callable[..., Settings]
BEST = ("selection.checkpoint=best", "trainer.save_freq=10", "trainer.test_freq=10")
ROWS = ("data.val_max_samples=100",)


@pytest.mark.parametrize(
    ("job", "overrides", "rows"),
    [
        ("grpo", (), 600),
        ("grpo", (*BEST, *ROWS), 600),
        ("grpo", (*BEST, "evaluation.enable=false"), 600),
        ("grpo", (*BEST, "data.val_files=mine.parquet"), 600),
        ("grpo", (*BEST, *ROWS, "trainer.save_freq=20"), 600),
        ("sft", (*BEST, "early_stopping.patience=3"), 64),
        ("sft", ("selection.checkpoint=best", "early_stopping.patience=3"), 64),
    ],
)
def test_what_can_be_decided_passes(
    settings: Build, job: str, overrides: tuple[str, ...], rows: int
) -> None:
    (line,) = check_selection(settings(job, *overrides), rows)
    assert line.status is Status.PASS


@pytest.mark.parametrize(
    ("job", "overrides", "said", "fix"),
    [
        ("grpo", ("selection.checkpoint=first",), "checkpoint=first", "selection.checkpoint=last"),
        ("grpo", BEST, "all 600 held-out rows", "data.val_max_samples=150"),
        ("grpo", (*BEST, *ROWS, "trainer.save_freq=15"), "not every checkpoint is validated",
         "trainer.save_freq=10"),
        ("grpo", (*BEST, *ROWS, "trainer.test_freq=-1"), "trainer.test_freq=-1",
         "trainer.save_freq=20 trainer.test_freq=20"),
        ("grpo", (*BEST, *ROWS, "actor_rollout_ref.actor.checkpoint.save_contents=[model]"),
         "save_contents=[model]",
         "actor_rollout_ref.actor.checkpoint.save_contents=[model,hf_model]"),
        ("sft", ("early_stopping.patience=2", "trainer.test_freq=-1"), "nothing is validated",
         "early_stopping.patience=null"),
        ("sft", ("early_stopping.patience=2", "hardware.launcher=torchrun"), "torchrun",
         "hardware.launcher=ray"),
        ("sft", (*BEST, "hardware.launcher=torchrun"), "torchrun", "hardware.launcher=ray"),
        ("sft", ("early_stopping.patience=2", "early_stopping.min_delta=-1"), "min_delta=-1",
         "early_stopping.min_delta=0"),
    ],
)  # fmt: skip
def test_what_cannot_is_a_failure_with_a_way_out(
    settings: Build, job: str, overrides: tuple[str, ...], said: str, fix: str
) -> None:
    (line,) = check_selection(settings(job, *overrides), 600)
    assert line.status is Status.FAILURE and said in line.got and fix in line.fixes
