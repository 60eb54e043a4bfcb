"""The report: JSON, one line for the user, and a table that never overflows."""

from __future__ import annotations

import json
import pickle
import re

import pytest

from conf.errors import PreflightError
from launch.preflight import Line, Report, Status
from launch.preflight.lines import failed, passed, warned

LONG = "/a/very/long/path/without/any/blank/" + "x" * 150
REPORT = Report(
    (
        passed("GPUs", "8 × NVIDIA H100"),
        warned("disk", "all 40 checkpoints are kept", "a bound", "trainer.max_ckpt_to_keep=2"),
        failed("train batch", "7 prompts", "a multiple of 2", "data.x=6", "data.x=8"),
        failed("model", LONG, "a folder", f"policy.path={LONG}"),
        failed("model", "again", "a folder"),
    ),
    seconds=1.25,
    timings={"torch": 1.2},
)


def test_one_line_names_the_first_failure_its_fix_and_the_rest() -> None:
    with pytest.raises(PreflightError) as caught:
        REPORT.raise_for_failures()
    assert str(caught.value) == (
        "train batch: 7 prompts; needed: a multiple of 2 (and 2 more: model) → data.x=6 or data.x=8"
    )
    assert caught.value.exit_code == 5
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_warnings_do_not_stop() -> None:
    report = Report(REPORT.lines[:2])
    report.raise_for_failures()
    assert report.ok and len(report.warnings) == 1


def test_json_is_whole_and_comes_back() -> None:
    data = json.loads(json.dumps(REPORT.to_json()))
    assert data["ok"] is False
    assert data["counts"] == {"pass": 1, "warning": 1, "failure": 3}
    assert [Line.from_json(line) for line in data["lines"]] == list(REPORT.lines)
    with pytest.raises(ValueError, match="perhaps"):
        Line.from_json({**data["lines"][0], "status": "perhaps"})


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_table_stays_within_its_width(width: int) -> None:
    lines = REPORT.render(width).splitlines()
    assert max(map(len, lines)) <= max(width, 40)
    assert not any(line != line.rstrip() for line in lines)


def test_table_reads_well() -> None:
    report = Report(REPORT.lines[:3])
    assert report.render(60) == (
        "✓ GPUs         8 × NVIDIA H100\n"
        "! disk         all 40 checkpoints are kept\n"
        "               needs a bound\n"
        "               → trainer.max_ckpt_to_keep=2\n"
        "✗ train batch  7 prompts\n"
        "               needs a multiple of 2\n"
        "               → data.x=6\n"
        "               or data.x=8\n"
        "1 passed, 1 warning, 1 failure"
    )


def test_color_changes_nothing_but_color() -> None:
    colored = REPORT.render(80, color=True)
    assert re.sub(r"\033\[\d+m", "", colored) == REPORT.render(80)
    assert "\033[31m✗" in colored


def test_nothing_foreign_controls_the_terminal() -> None:
    text = Report((failed("model", "a\nb\033[2Jc\rd", "x"),)).render(80)
    assert "\033" not in text and "\r" not in text
    assert text.splitlines()[0] == "✗ model  a b [2Jc d"


def test_overrides_are_not_broken_at_hyphens() -> None:
    fix = "policy.path=Qwen/Qwen2.5-0.5B-Instruct-with-a-name"
    text = Report((failed("model", "no", "yes", fix),)).render(80)
    assert f"→ {fix}" in text


def test_report_grows_by_the_nodes_lines() -> None:
    more = REPORT.extended([failed("nodes", "n1: verl 0.9.0", "the same")])
    assert len(more.lines) == len(REPORT.lines) + 1
    assert more.lines[-1].status is Status.FAILURE
