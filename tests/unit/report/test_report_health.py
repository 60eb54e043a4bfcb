"""Checks: each can fail, and a missing metric is not a pass."""

import json

import pytest

from eval.training.curves import accuracy_chart, rl_charts, sft_charts
from eval.training.data import read_run
from eval.training.health import examine
from eval.training.samples import compare
from eval.training.verdict import judge


def checks(folder):
    run = read_run(folder)
    dumps = [compare(folder / name, 4) for name in ("validation", "rollouts")]
    return {c.name: c for c in examine(run, judge(run).rows, *dumps)}


def change(folder, step, **values):
    """Set metrics of one step; None as a value removes the key."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        if row["step"] == step:
            row["data"] |= values
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def without(folder, keep):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if keep(row)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def test_a_good_run_passes(run):
    levels = {name: c.level for name, c in checks(run).items()}
    # Its last rollouts are all right: groups without a signal, which the check says.
    assert levels.pop("Groups without signal") == "warn"
    assert set(levels.values()) == {"ok"}


@pytest.mark.parametrize(
    ("key", "bad", "name"),
    [
        ("rollout_corr/k3_kl", 2e-6, "Log-prob mismatch"),
        ("training/rollout_probs_diff_max", 0.5, "Largest probability gap"),
    ],
)
def test_mismatch_above_its_bound_fails(run, key, bad, name):
    change(run, 7, **{key: bad})
    found = checks(run)[name]
    assert found.level == "bad"
    assert "step 7" in found.text


def test_a_step_without_the_mismatch_fails(run):
    change(run, 7, **{"rollout_corr/k3_kl": None})
    found = checks(run)["Log-prob mismatch"]
    assert (found.level, "without a value at step 7" in found.text) == ("bad", True)


def test_a_mismatch_never_recorded_fails(tmp_path, folders):
    folders.write_lines(tmp_path / "metrics.jsonl", [{"step": 1, "data": {"critic/score/mean": 0}}])
    found = checks(tmp_path)
    assert found["Log-prob mismatch"].level == "bad"
    for name in ("Run ended", "Clipped responses", "Groups without signal", "Verifier errors"):
        assert found[name].level == "none"


def test_gaps_and_unreadable_lines_are_named(run):
    without(run, lambda row: row["step"] not in (12, 13))
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 51,')
    found = checks(run)["Metrics complete"]
    assert found.level == "warn"
    assert "2 steps (12, 13)" in found.text
    assert "1 unreadable line" in found.text


def test_a_gradient_that_is_no_number_fails(run):
    change(run, 9, **{"actor/grad_norm": None})
    found = checks(run)["Finite gradients"]
    assert (found.level, found.text) == ("bad", "actor/grad_norm is not finite at step 9.")


def test_clipped_responses_warn(run):
    change(run, 50, **{"response_length/clip_ratio": 0.31})
    found = checks(run)["Clipped responses"]
    assert (found.level, found.text.startswith("31.0%")) == ("warn", True)


def test_verifier_errors_are_not_wrong_answers(run, folders):
    after = folders.AFTER | {"status": {"correct": 417, "verifier_error": 83}}
    (run / "eval/results.json").write_text(json.dumps({"before": folders.BEFORE, "after": after}))
    found = checks(run)["Verifier errors"]
    assert (found.level, "83 in 'after'" in found.text) == ("bad", True)


def test_what_cannot_be_read_is_a_line(run):
    (run / "plan.json").write_text("{")
    assert "plan.json" in checks(run)["Run folder"].text


def test_validation_accuracy_has_the_interval_of_its_dump(run):
    (line,) = accuracy_chart(read_run(run)).series
    first = line.band[0]
    # 184 of 300: scipy.stats.binomtest(184, 300).proportion_ci(method="wilson")
    assert (first.step, first.low, first.high) == pytest.approx((0, 0.557125, 0.666676), abs=1e-6)


def test_without_dumps_or_with_two_sources_there_is_no_interval(run):
    change(run, 50, **{"val-core/other/acc/mean@1": 0.5})
    assert [line.band for line in accuracy_chart(read_run(run)).series] == [(), ()]


def test_reward_serves_where_no_accuracy_was_logged(tmp_path, folders):
    data = {"val-aux/a/b/reward/mean@4": 1.5, "val-aux/num_turns/mean": 2.0}
    folders.write_lines(tmp_path / "metrics.jsonl", [{"step": 0, "data": data}])
    chart = accuracy_chart(read_run(tmp_path))
    assert [line.label for line in chart.series] == ["a/b"]
    assert (chart.share, chart.last) == (False, (0, "1.5"))


def test_curves_that_the_issue_names_are_always_there(tmp_path, folders):
    folders.write_lines(tmp_path / "metrics.jsonl", [{"step": 1, "data": {"x": 1}}])
    charts = rl_charts(read_run(tmp_path))
    assert not any(chart.recorded for chart in charts)
    keys = [line.key for chart in charts for line in chart.series]
    for key in ("critic/score/mean", "actor/kl_loss", "actor/entropy", "response_length/mean",
                "actor/grad_norm", "rollout_corr/k3_kl"):  # fmt: skip
        assert key in keys


def test_a_critic_and_the_resume_show_where_there_are_any(run, tmp_path, folders):
    change(run, 3, **{"critic/vf_loss": 0.3, "critic/grad_norm": 2.0})
    charts = {chart.title: chart for chart in rl_charts(read_run(run))}
    assert charts["Critic's loss"].recorded
    assert [line.label for line in charts["Gradient norm"].series] == ["policy", "critic"]
    assert charts["Entropy"].resumes == (30,)
    sft = sft_charts(read_run(folders.sft_run(tmp_path / "sft")))
    assert [line.label for line in sft[0].series] == ["training", "held-out"]
