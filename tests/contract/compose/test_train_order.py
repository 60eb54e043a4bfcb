"""A job's own slips are said before its warm start trains; the trainer is a stand-in here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from omegaconf import DictConfig

from conf.errors import ConfigError, PreflightError, TemperError
from launch import stages, train
from launch.compose import compose


class Trained(Exception):
    """The trainer would have started."""


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The jobs whose preflight was asked for, in order; data are there, and nothing trains."""
    asked: list[str] = []
    for name, rows in (("train", 100), ("sft_train", 640), ("test", 10), ("sft_test", 64)):
        parquet.write_table(pa.table({"row": list(range(rows))}), tmp_path / f"{name}.parquet")

    def preflight(config: DictConfig, *, ahead: bool = False) -> dict[str, Any]:
        asked.append(f"{config.job} ahead" if ahead else str(config.job))
        if config.job == "grpo" and config.actor_rollout_ref.rollout.n == 1:
            raise PreflightError("group size", "")
        return {}

    def attempt(*_: object) -> None:
        raise Trained

    monkeypatch.setattr(stages, "prepare_data", lambda config: None)
    monkeypatch.setattr(stages, "build_policy", lambda config: None)
    monkeypatch.setattr(stages, "preflight", preflight)
    monkeypatch.setattr(train, "_attempt", attempt)
    return asked


def start(tmp_path: Path, *overrides: str) -> None:
    folders = [f"run.root={tmp_path}/runs", f"data_prep.out={tmp_path}"]
    train.run(compose("grpo", ["+recipe=arithmetic", "hardware=cpu", *folders, *overrides]))


def test_the_job_is_checked_before_its_warm_start_and_again_in_its_turn(
    tmp_path: Path, checked: list[str]
) -> None:
    with pytest.raises(Trained):
        start(tmp_path)
    assert checked == ["grpo ahead", "sft"]
    assert (tmp_path / "runs/arithmetic/sft/config.yaml").is_file()


@pytest.mark.parametrize(
    ("slip", "error", "asked"),
    [
        ("actor_rollout_ref.rollout.n=1", PreflightError, ["grpo ahead"]),
        ("data.train_batch_size=101", ConfigError, []),
        ("data.train_batch_size=foo", ConfigError, []),
        ("trainer.total_epochs=null", ConfigError, []),
    ],
)
def test_a_slip_in_the_job_leaves_no_run_folder(
    tmp_path: Path, checked: list[str], slip: str, error: type[TemperError], asked: list[str]
) -> None:
    with pytest.raises(error):
        start(tmp_path, slip)
    assert checked == asked
    assert not (tmp_path / "runs").exists()
