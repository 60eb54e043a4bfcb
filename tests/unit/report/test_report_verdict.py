"""The first sentence: each state, and never more than was measured."""

import json

import pytest

from eval.comparison.two import compare_two
from eval.score import summarise
from eval.training.data import read_run
from eval.training.verdict import judge, planned_steps


def results(run, before, after, **verdict):
    """Results of 100 problems each from (right, low, high)."""
    entry = {
        label: {"n": 100, "correct": c, "accuracy": c / 100, "ci95": [low, high], "status": {}}
        for label, (c, low, high) in (("before", before), ("after", after))
    }
    (run / "eval/results.json").write_text(json.dumps(entry | verdict))
    return judge(read_run(run))


@pytest.mark.parametrize(
    ("before", "after", "state", "headline", "sentence"),
    [
        ((60, 0.50, 0.69), (80, 0.71, 0.87), "better", "Improved: 60.0% → 80.0%", "+20.0 points"),
        ((80, 0.71, 0.87), (60, 0.50, 0.69), "worse", "Regressed: 80.0% → 60.0%", "−20.0 points"),
        ((60, 0.50, 0.69), (65, 0.55, 0.74), "unclear", "No detectable change", "overlap"),
        # Intervals that touch overlap.
        (
            (60, 0.50, 0.71),
            (80, 0.71, 0.87),
            "unclear",
            "No detectable change",
            "intervals overlap",
        ),
    ],
)
def test_states_of_a_comparison(run, before, after, state, headline, sentence):
    verdict = results(run, before, after)
    assert verdict.state == state
    assert verdict.headline.startswith(headline)
    assert sentence in verdict.sentence
    assert "n = 100" in verdict.sentence


def records(rights):
    return [
        {"index": i, "tokens": 5, "seconds": 0.1, "finish_reason": "stop",
         "verdict": {"status": "correct" if right else "wrong", "detail": ""}}
        for i, right in enumerate(rights)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("gained", "lost", "state", "says"),
    [
        # 30 discordant, exact McNemar p = 2·(1+30+435+4060)/2³⁰ = 8.4e-6
        (27, 3, "better", "+24.0 points"),
        (3, 27, "worse", "−24.0 points"),
        # 2·(1+13)/2¹³ = 0.0034: better, although 62% and 73% have intervals that overlap.
        (12, 1, "better", "p = 0.0034 (paired, exact McNemar). The 95% intervals overlap."),
        (5, 4, "unclear", "points would have been seen."),
    ],
)
def test_the_paired_test_of_the_evaluation_decides(run, gained, lost, state, says):
    same = 100 - gained - lost
    right = round(0.62 * same)
    both = [True] * right + [False] * (same - right)
    base = records(both + [False] * gained + [True] * lost)
    tuned = records(both + [True] * gained + [False] * lost)
    found = {
        "sft": summarise("sft", "m", "f", base),
        "rl": summarise("rl", "m", "f", tuned),
        "verdict": compare_two("sft", base, "rl", tuned),
        "sampling": {"temperature": 0.0},
    }
    (run / "eval/results.json").write_text(json.dumps(found))
    verdict = judge(read_run(run))
    assert verdict.state == state
    assert says in verdict.sentence
    assert "n = 100, greedy" in verdict.sentence
    assert [row.bar.label for row in verdict.rows] == ["sft", "rl"]


def test_a_run_that_was_extended_goes_by_its_configuration(run):
    (run / "plan.json").write_text('{"steps": 40}')
    assert planned_steps(read_run(run)) == 50
    (run / "plan.json").write_text('{"steps": 60}')
    assert judge(read_run(run)).headline == "Stopped at step 50 of 60"


def test_no_evaluation_is_no_verdict(run):
    (run / "eval/results.json").unlink()
    verdict = judge(read_run(run))
    assert (verdict.state, verdict.headline, verdict.rows) == ("unknown", "Not evaluated", ())
    assert "50 training steps recorded, but no held-out evaluation" in verdict.sentence
    assert "Validation accuracy during training: 61.2% at step 0, " in verdict.sentence


def test_one_model_is_compared_with_nothing(run, folders):
    (run / "eval/results.json").write_text(json.dumps({"after": folders.AFTER}))
    verdict = judge(read_run(run))
    assert verdict.state == "unknown"
    assert verdict.headline == "One model evaluated: 83.4%"


@pytest.mark.parametrize(
    "entry", [5, None, {"accuracy": 0.5}, {"accuracy": "x", "ci95": [0, 1], "n": 5}]
)
def test_a_malformed_entry_is_not_an_evaluation(run, entry):
    (run / "eval/results.json").write_text(json.dumps({"before": entry, "after": entry}))
    assert judge(read_run(run)).rows == ()


def test_a_run_that_stopped_says_so_before_all_else(run):
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:18]))
    (run / "attempts/0002/exit.json").write_text('{"reason": "launcher_died", "code": null}')
    verdict = judge(read_run(run))
    assert verdict.state == "stopped"
    assert verdict.headline == "Stopped at step 17 of 50: launcher died"
    assert verdict.sentence.startswith("Improved: 61.2% → 83.4%")


def test_a_failure_after_the_last_step_is_no_success(run):
    (run / "attempts/0002/exit.json").write_text('{"reason": "failed", "code": 9}')
    assert judge(read_run(run)).headline == "Ended at step 50: failed"


def test_an_early_stop_is_an_end_and_is_said(run):
    (run / "stopped.json").write_text(json.dumps({"step": 50, "why": "so"}))
    (run / "plan.json").write_text(json.dumps({"steps": 200}))
    verdict = judge(read_run(run))
    assert planned_steps(read_run(run)) == 50 and verdict.state == "better"
    assert "Training stopped early at step 50: so." in verdict.sentence
    # One that was trained past it, under another rule, did not end there.
    (run / "stopped.json").write_text(json.dumps({"step": 40, "why": "so"}))
    assert judge(read_run(run)).headline == "Stopped at step 50 of 200"


def test_which_checkpoint_was_taken_is_said(run):
    best = {"step": 40, "metric": "acc", "mode": "max", "value": 0.71, "ci95": [0.61, 0.79],
            "method": "wilson", "items": 100, "considered": [20, 40]}  # fmt: skip
    (run / "best").mkdir()
    (run / "best/best.json").write_text(json.dumps(best))
    assert "checkpoints" not in judge(read_run(run)).sentence  # the run does not go by it
    for attempt in run.glob("attempts/[0-9]*"):
        config = attempt / "config.yaml"
        if config.is_file():
            config.write_text(config.read_text() + "\nselection: {checkpoint: best}\n")
    (run / "config.yaml").write_text(
        (run / "config.yaml").read_text() + "\nselection: {checkpoint: best}\n"
    )
    assert (
        "Of its checkpoints the best was taken: step 40, held-out acc 71.0% [61.0, 79.0], n = 100"
        in judge(read_run(run)).sentence
    )
