"""`make bench`: what temper costs against bare verl, as ratios measured in one run.

Composing and checking a configuration against `verl.trainer.main_ppo --cfg job`; preflight; a GRPO
step against verl's own entry on the same resolved tree; and the seconds from the command to the
first finished step. Each measurement is printed as one JSON line, each aim as another. The ratios
are held, the seconds reported.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from launch.bridge.environment import variables
from launch.bridge.rl import determinism

ROOT = Path(__file__).resolve().parents[2]
CHECKED = (
    "from launch.compose import compose, resolve; from launch.key_check import check_everything;"
    "check_everything('grpo', ['+recipe=arithmetic', 'hardware=cpu', 'policy=tiny']);"
    "resolve(compose('grpo', ['+recipe=arithmetic', 'hardware=cpu']))"
)
STEPS = 6

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1200)]


def seconds(command: list[str], cwd: Path, **environment: str) -> float:
    """Wall-clock seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def show(**values: Any) -> None:
    """One JSON line on stdout."""
    print("\nBENCH " + json.dumps(values))


def test_composition_and_validation(tmp_path: Path, aims: Any) -> None:
    pairs = []
    for _ in range(5):
        ours = seconds([sys.executable, "-c", CHECKED], tmp_path)
        printed = seconds(
            [sys.executable, "-m", "launch.grpo", "+recipe=arithmetic", "--cfg", "job"], tmp_path
        )
        theirs = seconds([sys.executable, "-m", "verl.trainer.main_ppo", "--cfg", "job"], tmp_path)
        pairs.append((ours, printed, theirs))
    every = statistics.median(p[2] / p[0] for p in pairs)
    job = statistics.median(p[2] / p[1] for p in pairs)
    show(
        what="compose and check every key, against verl.trainer.main_ppo --cfg job",
        ours_s=round(statistics.median(p[0] for p in pairs), 2),
        cfg_job_s=round(statistics.median(p[1] for p in pairs), 2),
        verl_s=round(statistics.median(p[2] for p in pairs), 2),
        times_faster=round(every, 1),
        cfg_job_times_faster=round(job, 1),
    )
    aims.ratio("--cfg job, times as fast as verl's", job, least=10)
    # verl's entry checks no key, so this is more work than its peer's: the aim is reported.
    aims.report("composing with every key checked, times as fast as verl's", every, least=10)


def test_preflight(tmp_path: Path, aims: Any) -> None:
    """The issue of a run that cannot work, in seconds: at most 3 without torch, 15 with."""
    code = (
        "import sys; from launch.compose import compose, resolve; from launch.preflight.run import "
        "preflight; tree = resolve(compose('grpo', ['+recipe=arithmetic', 'hardware=cpu'])); "
        "print(preflight(tree, with_torch=sys.argv[1] == 'torch').seconds)"
    )
    found = {}
    for word in ("none", "torch"):
        done = [
            subprocess.run(
                [sys.executable, "-c", code, word],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for _ in range(3)
        ]
        found[word] = round(statistics.median(map(float, done)), 2)
    show(what="preflight", without_torch_s=found["none"], with_torch_s=found["torch"])
    aims.report("preflight without torch", found["none"], most=3, unit="s")
    aims.report("preflight with torch", found["torch"], most=15, unit="s")


def step_seconds(metrics: Path) -> list[float]:
    """timing_s/step of each step but the first, which warms up."""
    found = [json.loads(line)["data"] for line in metrics.read_text().splitlines()]
    return [data["timing_s/step"] for data in found if "timing_s/step" in data][1:]


def test_step_against_bare_verl(tmp_path: Path, aims: Any) -> None:
    arguments = [
        "+recipe=arithmetic", "hardware=cpu", f"trainer.total_training_steps={STEPS}",
        "trainer.val_before_train=false", "trainer.test_freq=-1", "trainer.save_freq=-1",
        "evaluation.enable=false", "policy.warm_start=null",
    ]  # fmt: skip
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "launch.grpo", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    run = tmp_path / "runs/arithmetic/grpo"
    metrics = run / "attempts/0001/metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
        time.sleep(0.1)
    first_step = time.perf_counter() - began
    assert process.wait() == 0
    ours = step_seconds(metrics)

    config = OmegaConf.load(run / "config.yaml")
    bare = tmp_path / "bare"
    bare.mkdir()
    environment = variables(config, bare) | determinism(config)  # type: ignore[arg-type]
    seconds(
        [sys.executable, "-m", "verl.trainer.main_ppo", f"--config-path={run}",
         "--config-name=config", f"hydra.run.dir={bare}"],
        tmp_path,
        **environment,
    )  # fmt: skip
    theirs = step_seconds(bare / "metrics.jsonl")
    ratio = statistics.median(ours) / statistics.median(theirs)
    show(
        what="GRPO step, against verl's own entry on the same tree",
        ours_s=round(statistics.median(ours), 2),
        verl_s=round(statistics.median(theirs), 2),
        ratio=round(ratio, 3),
        command_to_first_step_s=round(first_step, 1),
    )
    aims.ratio("a GRPO step, of verl's own time on the same tree", ratio, most=1)
