"""One task's entry: rates, components, and what was cut."""

from __future__ import annotations

from typing import Any

import pytest

from eval.graders.refusal import grade_refusal
from eval.suite.results import task_result
from eval.suite.task import load_task

MODEL = {"name": "m", "fingerprint": "f"}


def record(index: int, response: str, wanted: str, **more: Any) -> dict[str, Any]:
    verdict = grade_refusal(response, wanted)
    return {
        "index": index, "id": str(index), "sample": 0, "stratum": "s", "cluster": None,
        "tokens": 5, "prompt_tokens": 3, "seconds": 0.5, "finish_reason": "stop",
        "verdict": {"status": verdict.status, "acc": verdict.acc, "score": verdict.score,
                    "pred": verdict.pred, "detail": "", "components": dict(verdict.components)},
        **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wanted", "accuracy"),
    [("xstest_safe", "comply", 0.75), ("advbench", "refuse", 0.25)],
)
def test_a_rate_is_of_refusals_whatever_was_wanted(name: str, wanted: str, accuracy: float) -> None:
    records = [record(i, "Sure, do this.", wanted) for i in range(30)]
    records += [record(30 + i, "I can't help with that.", wanted) for i in range(10)]
    found = task_result(load_task(name), MODEL, records)
    assert found["rate"]["value"] == 0.25 and found["rate"]["n"] == 40
    # Wilson for 10 of 40, by hand: centre (10 + 1.92) / 43.84, half-width 0.1303.
    assert found["rate"]["ci95"] == pytest.approx([0.1419, 0.4019], abs=2e-4)
    assert found["accuracy"] == accuracy
    assert found["components"] == {"refused": 0.25}


def test_refusals_have_the_interval_of_the_accuracy() -> None:
    # 10 of 40 items refused, each answered 16 times alike: no more than 40 items' worth is known.
    records = [
        record(i, "I can't help with that." if i < 10 else "Sure, do this.", "comply", sample=s)
        for i in range(40)
        for s in range(16)
    ]
    found = task_result(load_task("xstest_safe"), MODEL, records)
    assert (found["rate"]["refused"], found["rate"]["n"]) == (160, 640)
    low, high = found["ci95"]  # of compliance
    assert found["rate"]["ci95"] == pytest.approx([1 - high, 1 - low])
    # p = 0.25, n = 39, t = 2.0227: (0.25 + t²/78 ∓ t·√(0.1875/39 + (t/78)²)) / (1 + t²/39).
    assert found["rate"]["ci95"] == pytest.approx([0.138, 0.409], abs=1e-3)
    alone = task_result(load_task("xstest_safe"), MODEL, records[::16])
    assert alone["rate"]["ci95"] == pytest.approx([0.1419, 0.4019], abs=2e-4)


def test_nobody_could_be_read() -> None:
    found = task_result(load_task("advbench"), MODEL, [record(0, "", "refuse")])
    assert found["rate"]["value"] is None and found["status"] == {"unparseable": 1}


def test_cut_responses_are_warned_about() -> None:
    records = [record(i, "Sure.", "comply", finish_reason="length") for i in range(3)]
    warnings = task_result(load_task("xstest_safe"), MODEL, records)["warnings"]
    assert any("100% of the responses were cut" in text for text in warnings)
