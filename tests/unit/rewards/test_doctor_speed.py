"""What the doctor holds a reward's throughput against: the rollouts of a former run, if any.

1. The bound is the run's median generation time, for as many rollouts as a step has now.
2. Without a run it is an assumption that says so; a bound of the caller's own comes before both.
3. A reward that is slower than the rollouts fails, and one that is not passes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewards.clinic.checks import STEP_SECONDS, Limits, Right, speed, step_bound
from rewards.clinic.rows import Patient, RolloutTime, Sample, rollout_time

SAMPLES = [Sample("q", str(n), {"id": str(n)}) for n in range(4)]


def config(folder: Path, batch: int = 64, n: int = 8) -> dict[str, Any]:
    return {
        "run": {"dir": str(folder)},
        "data": {"train_batch_size": batch},
        "actor_rollout_ref": {"rollout": {"n": n}},
    }


def ran(folder: Path, *seconds: float, batch: int = 64) -> Path:
    """A run folder with those generation times; validations have none."""
    (folder / "config.yaml").write_text(json.dumps(config(folder, batch)))
    steps = [{"step": k, "data": {"timing_s/gen": s}} for k, s in enumerate(seconds, 1)]
    lines = [{"step": 0, "data": {"val-core/acc": 0.5}}, *steps]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


def test_a_former_run_s_median(tmp_path: Path) -> None:
    found = rollout_time(config(ran(tmp_path, 40.0, 5.0, 4.0)))
    assert found == RolloutTime(5.0, str(tmp_path / "metrics.jsonl"))
    twice = rollout_time(config(tmp_path, n=16))  # twice the rollouts, twice the time
    assert twice is not None and twice.seconds == 10.0


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl"])
def test_no_run_that_says_so(name: str, tmp_path: Path) -> None:
    assert rollout_time(config(tmp_path)) is None
    (ran(tmp_path, 5.0) / name).write_text("{")
    assert rollout_time(config(tmp_path)) is None
    assert rollout_time(config(ran(tmp_path))) is None  # no step was logged


def test_where_the_bound_comes_from() -> None:
    run = RolloutTime(5.0, "runs/a/grpo/metrics.jsonl")
    patient = Patient("r", {}, SAMPLES, per_step=512, rollouts=run)
    assert step_bound(patient, Limits()) == (5.0, f"{run.source} makes 102 rollouts/s")
    assert step_bound(patient, Limits(step=1.0))[0] == 1.0
    bound, why = step_bound(Patient("r", {}, SAMPLES, per_step=512), Limits())
    assert bound == STEP_SECONDS == 10.0 and "assumed" in why


class _Child:
    """A reward that takes 20 ms a verdict."""

    def ask_each(self, cases: list[Any], seconds: float) -> list[dict[str, Any]]:
        return [{"seconds": 0.02} for _ in cases]


@pytest.mark.parametrize(("generating", "ok"), [(1.2, False), (1.3, True)])
def test_slower_than_the_rollouts(generating: float, ok: bool) -> None:
    # 512 verdicts of 20 ms in 8 workers: 1.28 s.
    run = RolloutTime(generating, "metrics.jsonl")
    patient = Patient("r", {}, SAMPLES, per_step=512, workers=8, rollouts=run)
    known = Right("gold as #### {}", [], [], [])
    (_, found) = speed(patient, _Child(), Limits(), known)  # type: ignore[arg-type]
    assert (found.name, found.ok) == ("throughput", ok)
    assert "a step's 512 take 1.28 s in 8" in found.got and "metrics.jsonl" in found.got
    assert found.need == f"a step in ≤ {generating:g} s"
