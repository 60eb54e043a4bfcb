"""The `gsm8k` recipe on a CPU, as its command in the README: the real rows, two real steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.runs import RunFolder

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def gsm8k(
    repo: Path, run_job: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """The command of the issue, from an empty folder."""
    data = repo.parent / "shared" / "data" / "gsm8k"
    if not data.is_dir():
        pytest.skip("no shared data beside the checkout")
    _, run = run_job(
        "grpo",
        ["+recipe=gsm8k", "hardware=cpu", "policy=tiny", f"data_prep.local={data}"],
        tmp_path_factory.mktemp("gsm8k"),
        bare=True,
    )
    return run  # type: ignore[no-any-return]


def test_it_trains_on_all_clean_problems(gsm8k: RunFolder, metrics_of: Callable[..., Any]) -> None:
    plan = json.loads(gsm8k.plan_file.read_text())
    # All but the three that ask what a test problem asks.
    assert (plan["rows"], plan["steps"]) == (7470, 2)
    assert set(metrics_of(gsm8k)) == {0, 1, 2}


def test_rollout_and_training_agree_at_every_step(
    gsm8k: RunFolder, metrics_of: Callable[..., Any]
) -> None:
    """The first step after a weight sync included."""
    for step in (1, 2):
        said = metrics_of(gsm8k)[step]
        # Not negative in exact arithmetic; in fp32 it is a mean of rounding errors.
        assert abs(said["rollout_corr/k3_kl"]) <= 1e-6
        assert 0 < said["training/rollout_probs_diff_max"] <= 1e-3


def test_it_ends_in_an_evaluation_and_a_report(gsm8k: RunFolder) -> None:
    results = json.loads((gsm8k.eval_dir / "results.json").read_text())
    assert results["before"]["n"] == results["after"]["n"] == 32
    assert "gsm8k" in gsm8k.report_file.read_text(encoding="utf-8")
