"""Prepared data under another training reward: the same check of gold answers is the same data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conf.errors import DataError, RewardError
from data_prep.build import prepare


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    made = {"source": "arithmetic", "out": str(tmp_path / "out"), "seed": 1, "train_size": 20}
    made |= {"test_size": 5, "sft_size": 20, "reward": "math", "reward_options": {}}
    made["decontaminate"] = False
    assert prepare(made)[1]
    return made


@pytest.mark.parametrize(
    ("reward", "options"),
    [
        ("0.9*math + 0.1*format if format", {}),
        ("math if format", {"format": {"lenient": True}}),
        ("0.5*right + 0.5*format", {"right": {"use": "math"}}),
    ],
)
def test_a_composition_that_checks_by_the_same_part_needs_no_other_data(
    spec: dict[str, Any], reward: str, options: dict[str, Any]
) -> None:
    assert prepare({**spec, "reward": reward, "reward_options": options})[1] is False


def test_and_the_other_way_round(tmp_path: Path, spec: dict[str, Any]) -> None:
    composed = {**spec, "out": str(tmp_path / "composed"), "reward": "0.9*math + 0.1*format"}
    assert prepare(composed)[1]
    assert prepare({**composed, "reward": "math"})[1] is False


@pytest.mark.parametrize(
    ("reward", "options", "way"),
    [
        ("exact", {}, "data_prep.reward=math (the data as they are"),
        ("format if math", {}, "data_prep.reward=math (the data as they are"),
        ("math", {"several": "first"}, "data_prep.reward_options='{}' (the data as they are"),
    ],
)
def test_another_check_is_refused_and_the_old_one_offered(
    spec: dict[str, Any], reward: str, options: dict[str, Any], way: str
) -> None:
    with pytest.raises(DataError, match="another specification") as caught:
        prepare({**spec, "reward": reward, "reward_options": options})
    assert caught.value.fix.startswith(way)
    assert f"data_prep.out=ANOTHER_FOLDER, or remove {spec['out']}" in caught.value.fix


def test_other_keys_offer_no_reward(spec: dict[str, Any]) -> None:
    with pytest.raises(DataError) as caught:
        prepare({**spec, "reward": "exact", "train_size": 21})
    assert caught.value.fix.startswith("data_prep.out=")


@pytest.mark.parametrize("reward", ["maht", "0.9*maht + 0.1*format"])
def test_a_slip_in_the_reward_s_name_is_named_first(spec: dict[str, Any], reward: str) -> None:
    with pytest.raises(RewardError, match=r"no reward named 'maht'.*math"):
        prepare({**spec, "reward": reward})
