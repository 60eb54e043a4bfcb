"""Rewards in real runs: what their metrics and dumps say, and what ends a run.

1. Two GRPO steps with a composed reward, a reward over groups, and a verifier that fails on one
   response in eight: the metrics agree with the dumps, and no failed verdict became a 0.
2. A verifier that is down stops the run before anything is learnt, and says why.
3. GDPO sees the components.

Only the second is short enough for `make test`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from conf.errors import RewardError
from conf.runs import RunFolder

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(900)
# `flaky` fails on one response in eight, whichever worker it comes to and however often it is
# asked; `down` on every other.
MINE = '''
"""Rewards of a test."""
import hashlib


def _unlucky(response, id, one_in):
    return hashlib.sha256(f"{id} {response}".encode()).digest()[0] % one_in == 0


def flaky(response, gold, id, response_tokens, max_response_tokens, truncated, *, one_in=8):
    if _unlucky(response, id, one_in):
        raise ConnectionError("the verifier did not answer")
    assert 0 < response_tokens <= max_response_tokens and isinstance(truncated, bool)
    return 1.0 - response_tokens / max_response_tokens


def down(response, gold, id):
    return flaky(response, gold, id, 1, 2, False, one_in=2)
'''


def records(folder: Path, step: int) -> list[dict[str, Any]]:
    lines = (folder / f"{step}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mine") / "mine.py"
    file.write_text(MINE)
    return file


@pytest.fixture(scope="module")
def composed(mine: Path) -> tuple[str, ...]:
    """Overrides of a composed reward whose second part fails at times."""
    return (
        "data_prep.reward=math",  # the session's data are checked by the plain reward
        "data_prep.reward_options={}",
        "reward_fn.name='0.9*math + 0.1*brief'",
        f"+reward_fn.options.brief.use={mine}:flaky",
        "reward_fn.breaker.share=0.9",
    )


@pytest.fixture(scope="module")
def run(
    run_job: Callable[..., Any], from_sft: tuple[str, ...], composed: tuple[str, ...], mine: Path
) -> RunFolder:
    group = ("reward_fn.group.name=kimi_length", "+reward_fn.group.options.weight=0.2")
    done: RunFolder = run_job(
        "grpo", [*from_sft, *composed, *group, "run.name=composed"], mine.parent
    )[1]
    return done


@pytest.mark.full
def test_the_metrics_say_what_the_dumps_hold(
    run: RunFolder, metrics_of: Callable[..., Any]
) -> None:
    for step in (1, 2):
        data = metrics_of(run)[step]
        rows = records(run.rollouts_dir, step)
        assert rows and len(rows) + data["reward/dropped"] == 32
        for name in ("math", "brief", "group"):
            mean = fmean(row[f"component_{name}"] for row in rows)
            assert data[f"reward/component/{name}/mean"] == pytest.approx(mean, abs=1e-9)
        assert data["reward/acc/mean"] == pytest.approx(fmean(row["acc"] for row in rows))
        truncated = fmean(row["truncated"] for row in rows)
        assert data["reward/truncated/share"] == pytest.approx(truncated)
        rates = {n: v for n, v in data.items() if n.startswith("reward/status/")}
        assert len(rates) == 6 and sum(rates.values()) == pytest.approx(1.0)
        assert rates["reward/status/verifier_error"] == data["reward/dropped"] / 32
        assert data["reward/retried"] == data["reward/dropped"] / 32
        assert 0 < data["reward/latency_ms/p50"] <= data["reward/latency_ms/p99"]
        groups = defaultdict(list)
        for row in rows:
            groups[row["uid"].rsplit("_", 2)[0]].append(row["score"])
        several = [scores for scores in groups.values() if len(scores) > 1]
        same = sum(len(set(scores)) == 1 for scores in several)
        assert data["reward/zero_variance_groups"] == pytest.approx(same / len(several))
        # verl takes this mean in float32, of penalties and bonuses that cancel each other
        mean = fmean(row["score"] for row in rows)
        assert data["critic/score/mean"] == pytest.approx(mean, abs=1e-6)


@pytest.mark.full
def test_scores_are_the_formula_and_the_group_reward(run: RunFolder) -> None:
    for step in (1, 2):
        rows = records(run.rollouts_dir, step)
        groups = defaultdict(list)
        for row in rows:
            groups[row["uid"].rsplit("_", 2)[0]].append(row)
        for group in groups.values():
            tokens = [row["response_tokens"] for row in group]
            for row in group:
                spread = max(tokens) - min(tokens)
                ratio = (row["response_tokens"] - min(tokens)) / spread if spread else 0.5
                bonus = 0.5 - ratio if row["acc"] == 1 else min(0.0, 0.5 - ratio)
                own = 0.9 * row["component_math"] + 0.1 * row["component_brief"]
                assert row["component_group"] == pytest.approx(0.2 * bonus, abs=1e-6)
                assert row["score"] == pytest.approx(own + 0.2 * bonus, abs=1e-6)


@pytest.mark.full
def test_a_failed_verifier_counts_nowhere_as_wrong(
    run: RunFolder, metrics_of: Callable[..., Any]
) -> None:
    data = metrics_of(run)[2]
    rows = records(run.path / "validation", 2)
    dropped = data["val-aux/reward/dropped"]
    assert len(rows) + dropped == 16
    mean = fmean(row["acc"] for row in rows)
    assert data["val-core/arithmetic/acc/mean@1"] == pytest.approx(mean)
    kept = (run.path / "broken_verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    sample = json.loads(kept[0])
    assert sample["status"] == "verifier_error" and sample["id"].startswith("arithmetic/")
    assert "ConnectionError: the verifier did not answer" in sample["detail"]
    assert "mine.py:" in sample["detail"]


@pytest.mark.full
def test_saved_rollouts_are_scored_again_as_they_were(run: RunFolder, world: Any) -> None:
    words = [str(run.rollouts_dir / "2.jsonl"), "math", "--rows", f"{world.data}/train.parquet"]
    done = subprocess.run(
        [sys.executable, "-m", "rewards.score", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "right before, not now: 0" in done.stdout
    assert "not right before, right now: 0" in done.stdout


def test_a_verifier_that_is_down_stops_the_run(
    run_job: Callable[..., Any], from_sft: tuple[str, ...], mine: Path
) -> None:
    words = ["data_prep.reward=math", f"reward_fn.name={mine}:down", "run.name=down"]
    done, run = run_job("grpo", [*from_sft, *words], mine.parent, code=RewardError.exit_code)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and errors[0].startswith("error: step ")
    assert "verdicts are broken, more than 0.02 of 512" in errors[0]
    assert "the verifier did not answer" in errors[0] and "broken_verdicts.jsonl" in errors[0]
    assert "Traceback" not in done.stderr
    assert (run.path / "broken_verdicts.jsonl").stat().st_size > 0
    assert not any(run.checkpoints_dir.iterdir())


@pytest.mark.full
def test_gdpo_sees_the_components(
    run_job: Callable[..., Any],
    metrics_of: Callable[..., Any],
    from_sft: tuple[str, ...],
    composed: tuple[str, ...],
    mine: Path,
) -> None:
    words = [
        "algorithm.adv_estimator=gdpo",
        "+algorithm.gdpo_reward_keys=[component_math,component_brief]",
        "run.name=gdpo",
    ]
    run = run_job("grpo", [*from_sft, *composed, *words], mine.parent)[1]
    for step in (1, 2):
        data = metrics_of(run)[step]
        assert data["critic/advantages/max"] > 0 > data["critic/advantages/min"]
