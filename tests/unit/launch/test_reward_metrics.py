"""Metrics of the rewards, by hand: rates, percentiles, means, groups that teach nothing."""

from __future__ import annotations

import pytest

from launch.bridge.reward_metrics import (
    Row,
    final_rows,
    percentile,
    row_metrics,
    verdict_metrics,
    with_verdicts,
)
from rewards.verdict import BROKEN, STATUSES


def test_the_statuses_are_those_of_rewards() -> None:
    from launch.bridge import reward_metrics

    assert reward_metrics.STATUSES == STATUSES and set(reward_metrics.BROKEN) == BROKEN


def test_rates_and_latency() -> None:
    events = [(n, "correct", 0.001 * (n + 1), False) for n in range(90)]
    events += [(n, "timeout", 1.0, False) for n in range(8)]
    events += [(0, "verifier_error", 2.0, True), (0, "gold_error", 3.0, True)]
    metrics = verdict_metrics(events)
    assert metrics["reward/status/correct"] == 0.9
    assert metrics["reward/status/timeout"] == 0.08
    assert metrics["reward/status/verifier_error"] == metrics["reward/status/gold_error"] == 0.01
    assert metrics["reward/status/unparseable"] == 0.0
    assert metrics["reward/dropped"] == 2.0 and metrics["reward/retried"] == 0.02
    assert metrics["reward/latency_ms/p50"] == pytest.approx(50.0)
    assert metrics["reward/latency_ms/p99"] == pytest.approx(2000.0)
    assert verdict_metrics([]) == {}


def test_percentile_is_the_smallest_value_that_covers() -> None:
    assert [percentile([1, 2, 3, 4], q) for q in (0.25, 0.26, 0.5, 0.99, 1.0)] == [1, 2, 2, 4, 4]
    assert percentile([7], 0.5) == 7


def rows(*scores: tuple[str, float, dict[str, object]]) -> list[Row]:
    return [Row(f"{group}_{n}_0", group, s, i) for n, (group, s, i) in enumerate(scores)]


def test_components_and_groups() -> None:
    info = {"component_math": 1.0, "acc": 1.0, "truncated": 0.0, "pred": "4", "score": 1.0}
    other = {"component_math": 0.5, "acc": 0.0, "truncated": 1.0, "pred": "", "score": 0.5}
    metrics = row_metrics(
        rows(
            ("p", 1.0, info), ("p", 0.5, other), ("q", 1.0, info), ("q", 1.0, info), ("r", 0, other)
        )
    )
    assert metrics == {
        "reward/component/math/mean": pytest.approx(0.8),
        "reward/acc/mean": pytest.approx(0.6),
        "reward/truncated/share": pytest.approx(0.4),
        "reward/zero_variance_groups": 0.5,  # q of p and q; r is alone
    }
    assert row_metrics([]) == {}
    assert "reward/zero_variance_groups" not in row_metrics(rows(("p", 1.0, {})))


def test_a_dump_gets_the_verdicts_and_loses_the_padding() -> None:
    dump = {
        "inputs": ["a", "b", "c"],
        "outputs": ["1", "2", "3"],
        "gts": ["1", "1", "1"],
        "scores": [1.0, 0.0, 0.5],
        "reward_extra_infos_dict": {"uid": ["p_0_0", "pad0_0_0", "p_1_0"]},
    }
    rows = [Row("p_1_0", "p", 0.5, {"acc": 0.0, "late": 1}), Row("p_0_0", "p", 1.0, {"acc": 1.0})]
    assert with_verdicts(dump, rows) == {
        "inputs": ["a", "c"],
        "outputs": ["1", "3"],
        "gts": ["1", "1"],
        "scores": [1.0, 0.5],
        "reward_extra_infos_dict": {
            "uid": ["p_0_0", "p_1_0"],
            "acc": [1.0, 0.0],
            "late": [None, 1],
        },
    }


def test_the_last_output_of_a_session_counts() -> None:
    several = [Row(key, "p", 0.0, {}) for key in ("p_0_0", "p_0_2", "p_0_1", "p_1_0", "p_10_0")]
    assert [row.key for row in final_rows(several)] == ["p_0_2", "p_1_0", "p_10_0"]
