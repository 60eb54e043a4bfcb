"""A run that stopped early is finished at that step, under the rule that stopped it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from conf.runs import RunFolder
from launch.early_stopping import Stopped
from launch.plan import is_finished, last_step


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder.prepare(tmp_path, "r", "sft", {"job": "sft"}, redact=lambda tree: tree)
    lines = [json.dumps({"step": step, "data": {"train/loss": 1.0}}) for step in range(1, 16)]
    made.new_attempt(from_step=0).metrics_file.write_text("\n".join(lines) + "\n")
    return made


def config(patience: int | None) -> DictConfig:
    return OmegaConf.create(
        {"early_stopping": {"patience": patience, "min_delta": 0.0}, "trainer": {"save_freq": -1}}
    )


def test_the_step_it_stopped_at_is_its_last(run: RunFolder) -> None:
    assert last_step(run, config(2), 60) == 60 and not is_finished(run, config(2), 60)
    Stopped(step=15, patience=2, min_delta=0.0, why="so").write(run.path)
    assert last_step(run, config(2), 60) == 15 and is_finished(run, config(2), 60)


def test_another_rule_lets_it_go_on(run: RunFolder) -> None:
    Stopped(step=15, patience=2, min_delta=0.0, why="so").write(run.path)
    for patience in (None, 5):
        assert last_step(run, config(patience), 60) == 60
        assert not is_finished(run, config(patience), 60)
    rl = OmegaConf.create({"trainer": {"save_freq": -1}})
    assert last_step(run, rl, 60) == 60
