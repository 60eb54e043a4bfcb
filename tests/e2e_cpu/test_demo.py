"""The demo as a user runs it: SFT to its budget, GRPO with a rising reward, a verdict, a report.

The second arm trains from the same SFT checkpoint with a constant reward: what improves there would
not be learning.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.full, pytest.mark.timeout(1200)]
ROOT = Path(__file__).resolve().parents[2]

EXPECTED = json.loads((ROOT / "recipes" / "arithmetic" / "expected.json").read_text())
K3, DIFF = "rollout_corr/k3_kl", "training/rollout_probs_diff_max"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo's command is given."""
    return tmp_path_factory.mktemp("demo")


def grpo(folder: Path, *overrides: str) -> None:
    """`python -m launch.grpo +recipe=arithmetic …`, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "launch.grpo", "+recipe=arithmetic", "hardware=cpu", *overrides],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def demo(folder: Path) -> Path:
    """The finished run of the demo's command."""
    grpo(folder)
    return folder / "runs/arithmetic/grpo"


def steps_of(run: Path) -> list[dict[str, Any]]:
    """The training records of the merged metrics, by rising step."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [one["data"] for one in records if "critic/score/mean" in one["data"]]


def test_grpo_improves_on_sft_beyond_both_intervals(demo: Path) -> None:
    results = json.loads((demo / "eval" / "results.json").read_text())
    before, after = results["before"], results["after"]
    assert before["n"] == after["n"] == 600
    low, high = EXPECTED["sft_between"]
    assert low <= before["accuracy"] <= high, "SFT ends neither crippled nor finished"
    assert after["ci95"][0] > before["ci95"][1]
    assert results["verdict"]["verdict"] == "improved"


def test_the_held_out_reward_rises(demo: Path) -> None:
    """On the same 100 problems each time; a step's own 64 prompts are others every time."""
    lines = (demo / "metrics.jsonl").read_text().splitlines()
    data = {record["step"]: record["data"] for record in map(json.loads, lines)}
    key = "val-core/arithmetic/acc/mean@1"
    assert [step for step in sorted(data) if key in data[step]] == [0, 5, 10]
    assert data[10][key] > data[0][key] + 0.05
    assert len(steps_of(demo)) == 10


def test_rollout_and_training_agree_at_every_step(demo: Path) -> None:
    for data in steps_of(demo):
        assert abs(data[K3]) <= 1e-6 and data[DIFF] <= 1e-3


def test_the_report_and_the_records_are_there(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert "Improved" in page and "http://" not in page.replace("http://www.w3.org", "")
    for name in ("config.yaml", "plan.json", "environment.json", "preflight.json"):
        assert (demo / name).stat().st_size > 0
    assert json.loads((demo / "attempts/0001/exit.json").read_text())["reason"] == "finished"
    recorded = (demo / "eval" / "records-after.jsonl").read_text().splitlines()
    assert len(recorded) == 600


def test_the_comparison_says_improved_and_shows_the_flips(demo: Path, folder: Path) -> None:
    records = [str(demo / "eval" / f"records-{label}.jsonl") for label in ("before", "after")]
    subprocess.run(
        [sys.executable, "-m", "eval.compare", *records, "out=compared"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    found = json.loads((folder / "compared/comparison.json").read_text())
    (task,) = found["pairs"][0]["tasks"].values()
    assert found["verdict"]["state"] == "improved" and task["verdict"] == "improved"
    results = json.loads((demo / "eval" / "results.json").read_text())
    gain = results["after"]["accuracy"] - results["before"]["accuracy"]
    assert abs(task["difference"] - gain) < 1e-9
    flips = [json.loads(line) for line in (folder / "compared/flips.jsonl").open()]
    assert len(flips) == task["gained"] + task["lost"] > 0
    assert (folder / "compared/report.html").stat().st_size > 0


def test_a_constant_reward_does_not_improve(demo: Path, folder: Path) -> None:
    assert demo.is_dir()
    start = folder / "runs/arithmetic/sft"
    arm = "control=constant_reward"
    grpo(folder, arm, "policy.warm_start=null", f"policy.path={start}", "run.name=constant")
    run = folder / "runs/arithmetic/constant"
    results = json.loads((run / "eval" / "results.json").read_text())
    assert results["verdict"]["verdict"] != "improved"
    assert all(data["critic/score/mean"] == 0.5 for data in steps_of(run))
