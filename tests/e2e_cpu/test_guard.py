"""What must stop a run: a weight sync that goes wrong, and a process that is not where planned.

The sync is corrupted from its second time on, so that step 1 is sound and step 2 is not: by a tenth
on the last norm, which leaves the texts readable and the loss unremarkable. The recipe is
`custom_reward` as it is shipped, its reward a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.errors import GuardError, PlatformError
from recipes.custom_reward.reward import score

pytestmark = pytest.mark.timeout(900)
CORRUPTED = """
from launch.cpu_platform.vllm_worker import CpuWorkerExtension


class Corrupted(CpuWorkerExtension):
    syncs = 0

    def update_weights_from_ipc(self, *args, **kwargs):
        super().update_weights_from_ipc(*args, **kwargs)
        Corrupted.syncs += 1
        if Corrupted.syncs > 1:
            self.model_runner.get_model().model.norm.weight.data.mul_(1.1)
"""
K3 = "rollout_corr/k3_kl"
DIFF = "training/rollout_probs_diff_max"


@pytest.fixture
def corrupted(
    run_job: Callable[..., Any], from_sft: tuple[str, ...], tmp_path: Path
) -> Callable[..., Any]:
    """Run GRPO with the corrupted sync: `corrupted(*overrides, code=…)`."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "corrupted_sync.py").write_text(CORRUPTED)
    worker = "actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls"

    def run(*overrides: str, code: int) -> Any:
        return run_job(
            "grpo",
            [
                *from_sft,
                "+recipe=custom_reward",
                f"data_prep.out={tmp_path / 'data'}",
                "trainer.total_training_steps=3",
                f"{worker}=corrupted_sync.Corrupted",
                *overrides,
            ],
            tmp_path,
            code=code,
            env={"PYTHONPATH": str(tmp_path / "mine")},
        )

    return run


@pytest.mark.full
def test_a_corrupted_sync_stops_the_run_at_its_step(
    corrupted: Callable[..., Any], metrics_of: Callable[..., Any]
) -> None:
    done, run = corrupted("run.name=stopped", code=GuardError.exit_code)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and errors[0].startswith(f"error: step 2: {K3} is ")
    assert "guard.action=warn" in errors[0]
    assert "Traceback" not in done.stderr
    steps = metrics_of(run)
    assert set(steps) == {0, 1, 2}  # recorded before it was judged; no step 3
    assert abs(steps[1][K3]) <= 1e-6 and steps[1][DIFF] <= 1e-3
    assert steps[2][K3] > 1e-4 and steps[2][DIFF] > 1e-2
    rows = [json.loads(line) for line in (run.rollouts_dir / "1.jsonl").read_text().splitlines()]
    assert [row["score"] for row in rows] == [
        pytest.approx(score(row["output"], row["gts"])) for row in rows
    ]


@pytest.mark.full
def test_a_warning_lets_it_go_on(
    corrupted: Callable[..., Any], metrics_of: Callable[..., Any]
) -> None:
    _, run = corrupted("run.name=warned", "guard.action=warn", code=0)
    log = (run.latest / "stdout.log").read_text()
    for step in (2, 3):
        assert f"warning: step {step}: {K3} is " in log
        assert metrics_of(run)[step][K3] > 1e-4
    assert f"step 1: {K3}" not in log


@pytest.mark.parametrize("job", ["grpo", pytest.param("sft", marks=pytest.mark.full)])
def test_a_hidden_platform_stops_the_run_at_once(
    job: str, run_job: Callable[..., Any], tmp_path: Path
) -> None:
    begun = time.monotonic()
    done, run = run_job(
        job,
        [f"run.name=hidden-{job}", "preflight.enable=false"],
        tmp_path,
        code=PlatformError.exit_code,
        env={"VERL_USE_EXTERNAL_PLUGINS": "none"},
    )
    assert time.monotonic() - begun < 300  # a hang would be for ever
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: verl knows no platform 'cpu'")
    assert last.endswith("→ unset VERL_USE_EXTERNAL_PLUGINS")
    assert not any(run.checkpoints_dir.iterdir())


MISPLACED = '''
import ray
from conf.errors import PlatformError
from launch.bridge.ray_session import _init  # again where the machine was too busy
from launch.cpu_platform.device_check import require_device

class Worker:
    """Stands for any Ray actor of verl: the check looks at its process alone."""

_init({"num_cpus": 2, "include_dashboard": False, "log_to_driver": False})
def worker(platform):
    environment = {"env_vars": {"VERL_PLATFORM": platform}}
    return ray.remote(Worker).options(runtime_env=environment).remote()
workers = [worker("cpu"), worker("nvidia")]
require_device(workers[:1], "cpu", "training workers")
print("first passes", flush=True)
try:
    require_device(workers, "cpu", "training workers")
except PlatformError as error:
    print(error)
ray.shutdown()
'''


def test_one_worker_on_another_device_is_named(repo: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MISPLACED],
        env={**os.environ, "PYTHONPATH": str(repo), "RAY_worker_niceness": "0"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    said = done.stdout.splitlines()
    assert said[-2:-1] == ["first passes"], done.stderr[-3000:]
    assert said[-1].startswith("training workers report device cuda; hardware asks for cpu → ")
