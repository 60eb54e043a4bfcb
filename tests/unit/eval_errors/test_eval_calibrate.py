"""Measured against published: agreement by the interval, and the cause that the failures show.

The published numbers are those of the makers' release notes, typed again here.
"""

import importlib.util
import json
from pathlib import Path

import pytest

from eval.calibrate import calibrate, main, table
from eval.folder import read_evaluation
from eval.published import TABLE, known_model, published

_SPEC = importlib.util.spec_from_file_location("folders", Path(__file__).parent / "folders.py")
folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)

SMALL = "Qwen/Qwen2.5-0.5B-Instruct"


def evaluated(tmp_path, right, n=200, name=SMALL, change=None, temperature=0.0):
    """An evaluation of `n` items with `right` right ones; `change` breaks the others."""
    records = folders.made(n)
    for i, record in enumerate(records):
        status = "correct" if i < right else "wrong"
        record["verdict"] = {**record["verdict"], "status": status}
        record |= {"finish_reason": "stop", "tokens": 100, "response": f"So #### {i}"}
        record["sampling"] = {**record["sampling"], "temperature": temperature}
        if i >= right and change:
            change(record)
    return read_evaluation(folders.evaluation(tmp_path / "e", {"gsm8k": records}, name))


def cut(record):
    record |= {"finish_reason": "length", "tokens": 512, "response": "First we"}
    record["verdict"] = {**record["verdict"], "status": "unparseable"}


def unmarked(record):
    record["response"] = f"So there are {record['ground_truth']} apples"
    record["verdict"] = {**record["verdict"], "status": "unparseable"}


def ran_on(record):
    record["response"] = "#### 3\n\nQuestion: How many pears are there?\nAnswer: #### 9"


def test_the_table_is_that_of_the_sources():
    assert published("Qwen2.5-0.5B-Instruct", "gsm8k").accuracy == pytest.approx(0.496)
    assert published("Qwen2.5-7B-Instruct", "ifeval").accuracy == pytest.approx(0.712)
    assert published("Qwen2.5-3B-Instruct", "math500").accuracy == pytest.approx(0.659)
    assert published("Qwen2.5-1.5B-Instruct", "mbpp").accuracy == pytest.approx(0.632)
    assert published("Qwen2.5-1.5B-Instruct", "svamp") is None
    assert all(0 < one.accuracy < 1 and one.source for one in TABLE)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (SMALL, "Qwen2.5-0.5B-Instruct"),
        ("models/qwen2.5-7b-instruct", "Qwen2.5-7B-Instruct"),
        ("runs/gsm8k/grpo/checkpoints/global_step_50", None),
        ("Qwen2.5-0.5B-Instruct-tuned", None),  # what was trained from it is not it
    ],
)
def test_which_model_is_meant(name, model):
    assert known_model(name) == model


def test_within_the_interval_it_agrees(tmp_path):
    (gap,) = calibrate(evaluated(tmp_path, 99))
    assert gap.state == "agrees" and gap.causes == () and gap.line.startswith("agrees: 49.5%")
    # (1.96 + 0.8416)·√(0.495·0.505/200) = 9.9 points; Wilson's interval is a little narrower.
    assert gap.line.endswith("could have seen ≥ 9.8 points")


@pytest.mark.parametrize(
    ("change", "cause"), [(cut, "token limit"), (unmarked, "extraction"), (ran_on, "template")]
)
def test_the_likely_cause_of_a_gap(tmp_path, change, cause):
    (gap,) = calibrate(evaluated(tmp_path, 50, change=change))
    assert gap.state == "below" and gap.difference == pytest.approx(-0.246)
    assert gap.causes[0].name == cause and gap.causes[0].points == pytest.approx(0.75)
    assert f"Likely: {cause}" in gap.line and "≤ 75.0 pts" in table([gap])
    assert {"other items", "few-shot"} <= {one.name for one in gap.causes}


def test_above_is_a_warning_and_sampling_is_named(tmp_path):
    (gap,) = calibrate(evaluated(tmp_path, 180, temperature=0.8))
    assert gap.state == "above" and "few-shot" not in {one.name for one in gap.causes}
    assert {"sampling", "contamination or leniency"} <= {one.name for one in gap.causes}


def test_the_command(tmp_path, capsys):
    folder = evaluated(tmp_path, 50, name="models/own").source
    with pytest.raises(SystemExit):
        main([str(folder)])
    assert "model=NAME" in capsys.readouterr().err
    main([str(folder), "model=Qwen2.5-0.5B-Instruct"])
    assert "gsm8k: -24.6 points, below" in capsys.readouterr().out
    assert json.loads((folder / "calibration.json").read_text())["gaps"][0]["published"] == 0.496
