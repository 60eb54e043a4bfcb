"""Every way in which a run can die: nothing is left of it after 15 s, and it says why it ended."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from conf.errors import EXIT_TERMINATED, TrainingError

pytestmark = pytest.mark.timeout(1200)

# Long enough that no death comes too late.
SFT = ("trainer.total_epochs=100", "trainer.total_training_steps=2000", "trainer.save_freq=500")
GRPO = ("trainer.total_training_steps=50", "trainer.save_freq=25", "trainer.test_freq=25")
SLOW_REWARD = """
import time

def score(response, gold, **row):
    time.sleep(1)
    return 1.0
"""
Start = Callable[..., Any]


def test_data_preparation_ends_with_the_launcher(start: Start, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_REWARD)
    words = [f"data_prep.out={tmp_path / 'data'}", f"reward_fn.name={tmp_path / 'slow.py'}:score"]
    run = start("grpo", words, tmp_path)
    run.until(lambda: run.parts("data_prep.prepare"), "data preparation")
    run.kill(psutil.Process(run.process.pid))
    run.process.communicate()
    run.assert_clean("kill -9 of the launcher while it prepares data", at_least=2)


@pytest.mark.full
def test_sigterm_ends_with_143(start: Start, tmp_path: Path) -> None:
    run = start("sft", SFT, tmp_path)
    run.until(lambda: 1 in run.steps(), "step 1")
    run.kill(psutil.Process(run.process.pid), number=signal.SIGTERM)
    assert run.end()[0] == EXIT_TERMINATED
    run.assert_clean("SIGTERM of SFT")


@pytest.mark.full
@pytest.mark.parametrize("victim", ["-m launch.bridge", "raylet/raylet", "ray::TrainingWorker"])
def test_a_crashed_part_of_sft_ends_the_run(start: Start, tmp_path: Path, victim: str) -> None:
    run = start("sft", SFT, tmp_path)
    run.until(lambda: 1 in run.steps(), "step 1")
    run.kill(run.part(victim))
    assert_failed(run, f"kill -9 of SFT's {victim}")


@pytest.mark.full
@pytest.mark.parametrize("victim", ["VLLM::EngineCore", "ray::AgentLoopWorkerTQ"])
def test_a_crashed_part_of_grpo_ends_the_run(start: Start, tmp_path: Path, victim: str) -> None:
    run = start("grpo", GRPO, tmp_path)
    run.until(lambda: 1 in run.steps(), "step 1")
    run.kill(run.part(victim))
    assert_failed(run, f"kill -9 of GRPO's {victim}")


@pytest.mark.full
def test_a_crash_of_rays_own_store_ends_the_run(start: Start, tmp_path: Path) -> None:
    run = start("sft", SFT, tmp_path)
    run.until(lambda: 1 in run.steps(), "step 1")
    run.kill(run.part("gcs/gcs_server"))
    assert_failed(run, "kill -9 of Ray's GCS")


def assert_failed(run: Any, case: str) -> None:
    """The launcher says in one line that training failed, and all is gone in time."""
    code, _, err = run.end()
    run.assert_clean(case)
    assert code == TrainingError.exit_code
    assert err.splitlines()[-1].startswith("error: "), err
    assert err.count("error: ") == 1
    assert "Traceback" not in err


@pytest.mark.full
def test_the_launcher_does_the_work_of_a_killed_guard(start: Start, tmp_path: Path) -> None:
    run = start("sft", SFT, tmp_path)
    run.until(lambda: 1 in run.steps(), "step 1")
    run.kill(run.part("from launch.guard import main"))
    assert_failed(run, "kill -9 of the guard")
