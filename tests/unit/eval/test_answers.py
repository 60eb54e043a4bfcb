"""Records to items, and one model's results with samples, clusters, strata and weights."""

from __future__ import annotations

import math
from typing import Any

import pytest

from eval.answers import answered, clusters_of, task_of, value_of
from eval.comparison.two import compare_two
from eval.score import summarise
from eval.statistics.intervals import wilson

STATUS = {"+": "correct", "-": "wrong", "?": "verifier_error"}


def _record(index: int, mark: str, **more: Any) -> dict[str, Any]:
    return {
        "index": index,
        "tokens": 10,
        "seconds": 0.5,
        "finish_reason": "stop",
        "verdict": {
            "status": STATUS[mark],
            "acc": {"+": 1.0, "-": 0.0, "?": None}[mark],
            "pred": more.pop("pred", mark),
            "detail": "",
        },
        **more,
    }


def _samples(*marks: str) -> list[dict[str, Any]]:
    return [
        _record(index, mark, sample=sample)
        for index, line in enumerate(marks)
        for sample, mark in enumerate(line)
    ]


def test_a_failed_verdict_is_left_out_of_its_item_alone() -> None:
    items = answered(_samples("++?-", "????", "-?--"))
    assert [item.values for item in items] == [(1.0, 1.0, 0.0), (0.0, 0.0, 0.0)]
    assert [item.first["index"] for item in items] == [0, 2]


def test_the_last_record_of_a_sample_counts() -> None:
    items = answered([_record(3, "-"), _record(1, "+"), _record(3, "+")])
    assert [(item.first["index"], item.values) for item in items] == [(1, (1.0,)), (3, (1.0,))]


def test_other_metrics_average_what_the_verdict_says() -> None:
    tie = _record(0, "-")
    tie["verdict"]["acc"] = 0.5
    assert value_of(tie) == 0.0
    assert value_of(tie, "win_rate") == 0.5
    assert value_of(_record(0, "?"), "win_rate") is None
    found = summarise("m", "p", "f", [tie, _record(1, "+")], metric="win_rate")
    assert found["accuracy"] == 0.75


def test_todays_records_belong_to_their_data_source() -> None:
    assert task_of({"data_source": "gsm8k"}) == "gsm8k"
    assert task_of({"data_source": "openai/gsm8k", "task": "gsm8k"}) == "gsm8k"


def test_clusters_are_told_only_where_items_share_one() -> None:
    alone = answered([_record(i, "+", cluster=None) for i in range(3)])
    assert clusters_of(alone) is None
    shared = answered([_record(i, "+", cluster="story" if i else None) for i in range(3)])
    codes = clusters_of(shared)
    assert codes is not None
    assert codes.tolist() == [0, 1, 1]


def test_rows_without_a_cluster_are_not_one() -> None:
    # 40 rows of 20 passages, 360 without a passage: 380 clusters, whatever "absent" is called.
    for absent in (None, ""):
        records = [
            _record(i, "+-"[i * 7 % 15 > 6], cluster=f"p{i // 2}" if i < 40 else absent)
            for i in range(400)
        ]
        found = summarise("m", "p", "f", records)
        assert found["clusters"] == 380
        low, high = found["ci95"]
        assert high - low == pytest.approx(2 * 1.96 * (0.25 / 400) ** 0.5, rel=0.08)


def test_several_samples_give_pass_and_majority_at_k() -> None:
    found = summarise("m", "p", "f", _samples("++--", "----", "++++", "+---"))
    assert (found["n_items"], found["n"], found["samples"]) == (4, 16, 4)
    assert found["accuracy"] == pytest.approx((0.5 + 0 + 1 + 0.25) / 4)
    assert found["method"] == "wilson-cluster"
    passed = {k: one["value"] for k, one in found["pass_at_k"].items()}
    # k = 2: 1 − C(2,2)/C(4,2) = 5/6, 0, 1, 1 − C(3,2)/C(4,2) = 1/2.
    assert passed == pytest.approx({"1": 0.4375, "2": (5 / 6 + 0 + 1 + 1 / 2) / 4, "4": 0.75})
    majority = found["maj_at_k"]["4"]
    assert majority["value"] == pytest.approx((0.5 + 0 + 1 + 0) / 4)  # a tie counts one half
    low, high = majority["ci95"]
    assert low < majority["value"] < high


def test_samples_of_an_item_are_not_counted_as_items() -> None:
    # 40 items that are always right or always wrong: 8 samples say nothing that one does not.
    one = summarise("m", "p", "f", _samples(*"+-" * 20))
    eight = summarise("m", "p", "f", _samples(*(mark * 8 for mark in "+-" * 20)))
    width = one["ci95"][1] - one["ci95"][0]
    assert eight["ci95"][1] - eight["ci95"][0] == pytest.approx(width, rel=0.06)
    assert wilson(160, 320).high - wilson(160, 320).low < 0.4 * width


def test_single_answers_stay_with_wilson_and_have_no_pass_at_k() -> None:
    found = summarise("m", "p", "f", [_record(i, "+-"[i % 2]) for i in range(10)])
    assert (found["method"], found["pass_at_k"], found["maj_at_k"]) == ("wilson", {}, {})
    assert found["warnings"] == ["n = 10 is below 200: the interval is wide"]


def test_what_could_be_detected_is_said_of_every_result() -> None:
    found = summarise("m", "p", "f", [_record(i, "+-"[i % 2]) for i in range(1319)])["mde"]
    # Paired at 20% discordance: 3.45 points by the normal approximation, the exact test a little
    # more. Unpaired at p = 1/2: 2.8016·√(0.5/1319) = 5.45 points.
    assert 0.0345 < found["paired"] < 0.0365
    assert found["unpaired"] == pytest.approx(2.8016 * math.sqrt(0.5 / 1319), rel=1e-4)
    assert summarise("m", "p", "f", [_record(0, "+")])["mde"]["paired"] is None


def test_an_unequal_sample_is_weighted_back() -> None:
    marks = [("easy", "+")] * 9 + [("easy", "-")] + [("hard", "+")] + [("hard", "-")] * 9
    records = [_record(i, mark, stratum=name) for i, (name, mark) in enumerate(marks)]
    plain = summarise("m", "p", "f", records)
    found = summarise("m", "p", "f", records, population={"easy": 900, "hard": 100})
    assert (plain["accuracy"], plain["weighted"]) == (0.5, False)
    assert found["accuracy"] == pytest.approx(0.82)
    assert found["weighted"] is True
    assert found["ci95"][0] < 0.82 < found["ci95"][1]
    assert found["strata"]["easy"]["accuracy"] == 0.9
    assert found["strata"]["hard"]["n_items"] == 10


def test_the_verdict_of_a_run_knows_clusters_and_samples() -> None:
    def both(mark: str, n: int) -> list[dict[str, Any]]:
        return [_record(i, mark, cluster=f"c{i // 10}") for i in range(n)]

    found = compare_two("a", both("-", 60), "b", both("+", 60))
    assert (found["test"], found["verdict"]) == ("sign-flip", "improved")
    assert found["p_value"] == pytest.approx(2 / 2**6)  # six clusters, not sixty items
    assert compare_two("a", both("-", 50), "b", both("+", 50))["verdict"] == "no detectable change"
    many = compare_two("a", _samples(*["+--"] * 8), "b", _samples(*["++-"] * 8))
    assert many["only_tuned"] == 8
    assert many["p_value"] == pytest.approx(2 / 2**8)
