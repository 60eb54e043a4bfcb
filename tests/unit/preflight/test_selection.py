"""Validation must be able to decide what it is asked to decide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from launch.preflight.checks_selection import check_selection
from launch.preflight.lines import Status
from launch.preflight.settings import Settings

Build = Callable[..., Settings]
BEST = ("selection.checkpoint=best", "trainer.save_freq=10", "trainer.test_freq=10")
ROWS = ("data.val_max_samples=100",)


@pytest.fixture
def held_out(tmp_path: Path) -> tuple[str, ...]:
    """Overrides that name 600 held-out rows."""
    pq.write_table(pa.table({"n": list(range(600))}), tmp_path / "test.parquet")
    return f"data_prep.out={tmp_path}", f"data.val_files={tmp_path}/test.parquet"


@pytest.mark.parametrize(
    ("job", "overrides"),
    [
        ("grpo", ()),
        ("grpo", (*BEST, *ROWS)),
        ("grpo", (*BEST, "evaluation.enable=false")),
        ("grpo", (*BEST, "data.val_files=mine.parquet")),
        ("grpo", (*BEST, *ROWS, "trainer.save_freq=20")),
        ("grpo", (*BEST, *ROWS, "data.seed=null", "data.shuffle=false")),
        ("sft", (*BEST, "early_stopping.patience=3")),
        ("sft", ("selection.checkpoint=best", "early_stopping.patience=3")),
    ],
)
def test_what_can_be_decided_passes(
    settings: Build, held_out: tuple[str, ...], job: str, overrides: tuple[str, ...]
) -> None:
    (line,) = check_selection(settings(job, *held_out, *overrides))
    assert line.status is Status.PASS


def test_the_questions_that_chose_an_sft_may_be_evaluated_too(settings: Build) -> None:
    (line,) = check_selection(settings("sft", *BEST, "evaluation.enable=true"))
    assert line.status is Status.WARNING and "evaluation.enable=false" in line.fixes


@pytest.mark.parametrize(
    ("job", "overrides", "said", "fix"),
    [
        ("grpo", (*BEST, *ROWS, "data.seed=null"), "data.seed=null", "data.seed=1"),
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
    ],
)  # fmt: skip
def test_what_cannot_is_a_failure_with_a_way_out(
    settings: Build,
    held_out: tuple[str, ...],
    job: str,
    overrides: tuple[str, ...],
    said: str,
    fix: str,
) -> None:
    (line,) = check_selection(settings(job, *held_out, *overrides))
    assert line.status is Status.FAILURE and said in line.got and fix in line.fixes
