"""A verdict is a finite score or a broken one without a score; its flat form has scalar values."""

from __future__ import annotations

import math
import pickle

import pytest

from conf.errors import RewardError
from rewards.verdict import Verdict, correct, gold_error, unparseable, verifier_error, wrong


def test_flat_form() -> None:
    verdict = Verdict(0.7, 1.0, "correct", "42", {"format": 0.5, "brief": 0.2})
    assert verdict.to_verl() == {
        "score": 0.7,
        "acc": 1.0,
        "pred": "42",
        "status": "correct",
        "detail": "",
        "component_brief": 0.2,
        "component_format": 0.5,
    }


def test_each_outcome_has_the_same_keys() -> None:
    flat = [v.to_verl() for v in (correct("1"), wrong("2"), unparseable("no anchor"))]
    assert flat[0].keys() == flat[1].keys() == flat[2].keys()
    assert all(isinstance(value, (float, str)) for one in flat for value in one.values())


@pytest.mark.parametrize("broken", [gold_error("no number"), verifier_error("ValueError: x")])
def test_broken_verdicts_never_become_a_number(broken: Verdict) -> None:
    assert math.isnan(broken.score) and math.isnan(broken.acc)
    with pytest.raises(RewardError, match=broken.status):
        broken.to_verl()


@pytest.mark.parametrize(
    "bad",
    [
        {"score": math.nan, "acc": 0.0, "status": "wrong"},
        {"score": math.inf, "acc": 1.0, "status": "correct"},
        {"score": 0.0, "acc": 0.0, "status": "verifier_error"},
        {"score": 1.0, "acc": 1.5, "status": "correct"},
        {"score": 1.0, "acc": 1.0, "status": "right"},
        {"score": 1.0, "acc": 1.0, "status": "correct", "components": {"a": math.nan}},
    ],
)
def test_silent_wrong_numbers_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError):
        Verdict(**bad)


def test_survives_pickling() -> None:
    verdict = Verdict(1.0, 1.0, "correct", "42", {"a": 1.0})
    assert pickle.loads(pickle.dumps(verdict)) == verdict
