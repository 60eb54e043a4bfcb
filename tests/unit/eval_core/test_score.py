"""Results from records: counts, the verdict on two models, and what a failed grader does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conf.errors import EvaluationError
from eval.comparison.two import compare_two
from eval.items import Item
from eval.score import grade, summarise
from eval.summary import could_see, table
from rewards.registry import load_reward

STATUS = {"+": "correct", "-": "wrong", "?": "verifier_error"}


def _records(marks: str, finish: str = "stop") -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "tokens": 10,
            "seconds": 0.5,
            "finish_reason": finish,
            "verdict": {"status": STATUS[mark], "detail": "the grader broke"},
        }
        for index, mark in enumerate(marks)
    ]


def test_accuracy_is_over_judged_items_and_failed_verdicts_are_counted() -> None:
    one = summarise("m", "path", "f", _records("++++++++--??"))
    assert (one["n"], one["correct"], one["broken"]) == (10, 8, 2)
    assert one["accuracy"] == 0.8
    assert one["ci95"] == pytest.approx([0.4902, 0.9433], abs=5e-5)
    assert one["status"] == {"correct": 8, "wrong": 2, "verifier_error": 2}
    assert (one["tokens"], one["mean_tokens"], one["tokens_per_second"]) == (120, 10.0, 20.0)
    assert one["truncation_share"] == 0.0
    assert summarise("m", "p", "f", _records("+-", "length"))["truncation_share"] == 1.0


def test_no_verdict_at_all_is_an_error_that_says_why() -> None:
    with pytest.raises(EvaluationError, match="the grader broke"):
        summarise("m", "path", "f", _records("???"))


def test_the_verdict_follows_the_exact_test() -> None:
    # 2 lost and 12 gained: p = 212/16384 = 0.0129. One lost and 6 gained: p = 16/128 = 0.125.
    found = compare_two(
        "a", _records("+" * 10 + "++" + "-" * 12), "b", _records("+" * 10 + "--" + "+" * 12)
    )
    assert found["verdict"] == "improved"
    assert found["p_value"] == pytest.approx(212 / 2**14)
    assert (found["both_right"], found["only_base"], found["only_tuned"]) == (10, 2, 12)
    assert found["difference"] == pytest.approx(10 / 24)
    assert "could have seen" not in found["line"]
    back = compare_two(
        "a", _records("+" * 10 + "--" + "+" * 12), "b", _records("+" * 10 + "++" + "-" * 12)
    )
    assert back["verdict"] == "regressed"
    none = compare_two("a", _records("+" + "-" * 6), "b", _records("-" + "+" * 6))
    assert none["verdict"] == "no detectable change"
    assert none["p_value"] == pytest.approx(0.125)
    assert "could have seen ≥" in none["line"]


def test_equal_models_show_no_change_and_say_what_could_have_been_seen() -> None:
    found = compare_two("a", _records("+-" * 250), "b", _records("+-" * 250))
    assert (found["verdict"], found["p_value"], found["difference"]) == (
        "no detectable change", 1.0, 0.0,
    )  # fmt: skip
    assert found["intervals_overlap"]
    assert found["detectable"] == pytest.approx(7.9 / 500, abs=1e-3)


def test_pairs_are_made_by_row_over_items_judged_for_both() -> None:
    base, tuned = _records("+-?+"), list(reversed(_records("++++")))
    found = compare_two("a", base, "b", tuned[:-1])  # row 0 is missing, row 2 broken
    assert (found["n"], found["both_right"], found["only_tuned"]) == (2, 1, 1)
    assert found["detectable"] is None  # two items can show nothing
    with pytest.raises(EvaluationError, match="in common"):
        compare_two("a", _records("??"), "b", _records("++"))


def test_the_same_ids_are_the_same_items_wherever_they_stand() -> None:
    base = [{**record, "id": f"q{record['index']}"} for record in _records("+" * 20 + "-" * 20)]
    tuned = [{**record, "index": 39 - record["index"]} for record in base]  # another order
    assert (compare_two("a", base, "b", tuned)["discordant"], len(tuned)) == (0, 40)


def test_other_gold_answers_are_other_items() -> None:
    base = [{**record, "ground_truth": str(record["index"])} for record in _records("+" * 40)]
    tuned = [dict(record) for record in base]
    tuned[3]["ground_truth"] = "corrected"
    found = compare_two("a", base, "b", tuned)
    assert (found["n"], found["left_out"]["changed"]) == (39, 1)
    for record in tuned:
        record["ground_truth"] += "!"
    with pytest.raises(EvaluationError, match="40 have another gold answer"):
        compare_two("a", base, "b", tuned)


def test_clear_improvement_has_intervals_apart() -> None:
    found = compare_two("a", _records("-" * 500), "b", _records("+" * 300 + "-" * 200))
    assert not found["intervals_overlap"]
    assert found["line"].endswith("do not overlap")


def test_grading_is_the_rewards_own_and_fits_into_json() -> None:
    item = Item(0, "0", [], "42", "source", {}, "source")
    assert grade(item, "#### 42", load_reward("math"))["status"] == "correct"
    assert grade(item, "#### 41", load_reward("math"))["status"] == "wrong"
    failed = grade(item, "x", load_reward(_broken()))
    assert (failed["status"], failed["score"]) == ("verifier_error", None)
    json.dumps(failed, allow_nan=False)


def _broken() -> str:
    return f"{__file__}:grade_and_break"


def grade_and_break(response: str, gold: str) -> float:
    """A grader with a defect."""
    raise ZeroDivisionError(response)


def test_the_terminal_says_what_could_have_been_seen() -> None:
    # 1,319 items at 20% discordance: 2.8016·√(0.2/1319) = 3.45 points, the exact test 3.5.
    assert could_see(summarise("m", "p", "f", _records("+-+-+" * 263 + "++--"))) == "≥ 3.5"


def test_the_table_is_aligned_and_complete() -> None:
    results: dict[str, Any] = {
        "before": summarise("before", "p", "f", _records("+---?")),
        "tuned": summarise("tuned", "p", "f", _records("+++++")),
        "verdict": compare_two("before", _records("+---?"), "tuned", _records("+++++")),
        "data": {"path": "d.parquet", "rows": 2000, "n": 5, "seed": 1},
        "sampling": {"max_tokens": 16},
        "warnings": ["n=5 is below 200: the intervals are wide"],
    }
    lines = table(results).splitlines()
    assert lines[0] == "d.parquet: 5 of 2,000 items, greedy, at most 16 tokens"
    head, before, tuned = lines[2:5]
    assert before[head.index("could see") :].split()[0] == "nothing"  # of five items
    for name in ("accuracy", "95% interval", "could see", "wrong", "verifier_error", "tok/s"):
        assert name in head
    assert len(head) == len(before) == len(tuned)
    assert before.split()[:2] == ["before", "25.0%"]
    assert before.index("25.0%") == tuned.index("100.0%") + 1
    assert lines[6].startswith("before → tuned: no detectable change")
    assert lines[-1] == "warning: n=5 is below 200: the intervals are wide"
