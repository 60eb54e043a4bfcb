"""Reading a run folder: whole, half-written, broken, or hardly there."""

import json
import math

import pytest

from conf.errors import EvaluationError
from eval.training.data import read_metrics, read_run, steps_in


def test_records_of_one_step_are_merged_by_key(tmp_path):
    file = tmp_path / "m.jsonl"
    file.write_text(
        '{"step": 1, "data": {"a": 1, "b": 2, "text": "x", "list": [1]}}\n'
        '{"step": 1, "data": {"b": 3, "c": null, "d": NaN}}\n'
        "\n"
        "[1]\n"
        '{"step": 2, "da'  # killed while writing
    )
    metrics = read_metrics(file)
    assert metrics.rows.keys() == {1}
    assert {k: v for k, v in metrics.rows[1].items() if k != "d"} == {"a": 1, "b": 3, "c": None}
    assert math.isnan(metrics.rows[1]["d"])
    assert metrics.unreadable == 2
    assert metrics.finite("d") == [] == metrics.finite("c")


def test_validation_before_training_is_no_training_step(run):
    metrics = read_run(run).metrics
    assert min(metrics.rows) == 0
    assert metrics.train_steps == list(range(1, 51))


@pytest.mark.parametrize("content", [None, "", "not json\n"])
def test_without_metrics_there_is_no_report(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(EvaluationError, match=r"metrics\.jsonl"):
        read_run(tmp_path)
    with pytest.raises(EvaluationError, match="no such folder"):
        read_run(tmp_path / "absent")


def test_all_but_metrics_may_be_missing(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "data": {"a": 1}}\n')
    run = read_run(tmp_path)
    assert run.problems == run.attempts == ()
    for piece in (run.config, run.plan, run.environment, run.preflight, run.results):
        assert piece is None
    assert run.setting("guard.k3_kl_max") is None


def test_a_broken_piece_is_missing_and_named(run):
    (run / "plan.json").write_text("{")
    (run / "environment.json").write_text("[1]")
    (run / "attempts/0002/exit.json").write_bytes(b"\xff\xfe")
    (run / "config.yaml").write_text("a: [1\n")
    found = read_run(run)
    assert found.plan is found.environment is found.config is None
    assert found.config_text == "a: [1\n"
    named = " ".join(found.problems)
    for name in ("plan.json", "environment.json", "attempts/0002/exit.json", "config.yaml"):
        assert name in named


def test_the_newest_attempts_configuration_counts(run):
    text = (
        (run / "config.yaml")
        .read_text()
        .replace("total_training_steps: 50", "total_training_steps: 80")
    )
    (run / "attempts/0002/config.yaml").write_text(text)
    assert read_run(run).setting("trainer.total_training_steps") == 80


def test_bounds_are_numbers_however_yaml_writes_them(run):
    assert "k3_kl_max: 1e-6" in (run / "config.yaml").read_text()
    assert read_run(run).positive("guard.k3_kl_max") == 1e-6
    assert read_run(run).positive("guard.action") is None


def test_attempts_say_where_they_went_on(run):
    first, second = read_run(run).attempts
    assert (first.name, first.from_step, first.first_step, first.last_step) == ("0001", 0, 0, 32)
    assert (second.from_step, second.last_step) == (30, 50)
    assert first.ended is None
    assert second.ended["reason"] == "finished"


def test_dumps_are_in_the_order_of_steps_not_of_names(tmp_path):
    for name in ("10", "9", "100", "x", "1.tmp"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({}))
    (tmp_path / "11.jsonl").write_text("")
    assert list(steps_in(tmp_path)) == [9, 10, 100]
