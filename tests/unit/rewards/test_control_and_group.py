"""Control arms keep the truth beside the score; group rewards are Kimi's, worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import RewardError
from rewards.control import Arm, another_gold, grade_shuffled_gold
from rewards.group import kimi_length, load_group
from rewards.registry import load_reward

GOLDS = ["1", "2", "3", "4"]


@pytest.fixture
def train(tmp_path: Path) -> str:
    rows = [{"style": "rule", "ground_truth": gold} for gold in GOLDS]
    file = tmp_path / "train.parquet"
    pq.write_table(pa.table({"reward_model": rows}), file)
    return str(file)


def test_another_gold_is_never_the_own_and_the_same_for_a_prompt() -> None:
    drawn = [another_gold("2", GOLDS, 0, f"row/{n}") for n in range(400)]
    assert set(drawn) == {"1", "3", "4"}
    assert all(abs(drawn.count(gold) / 400 - 1 / 3) < 0.095 for gold in "134")  # 4 standard errors
    assert drawn == [another_gold("2", GOLDS, 0, f"row/{n}") for n in range(400)]
    assert drawn != [another_gold("2", GOLDS, 1, f"row/{n}") for n in range(400)]
    with pytest.raises(RewardError, match="none but '7'"):
        another_gold("7", ["7", "7"], 0, "row")
    with pytest.raises(RewardError, match="control=none"):
        another_gold("7", [], 0, "row")


def test_the_arms_over_a_real_reward(train: str) -> None:
    judge = load_reward("math").judge
    row = {"id": "row/1"}
    other = another_gold("2", GOLDS, 0, "row/1")
    arm = Arm("shuffled_gold", judge, (train,))
    right, lucky = arm("#### 2", "2", row), arm(f"#### {other}", "2", row)
    assert (right.score, right.acc, right.status) == (0.0, 1.0, "correct")
    assert (lucky.score, lucky.acc, lucky.status) == (1.0, 0.0, "wrong")
    assert Arm("constant", judge)("#### 2", "2", row).score == 0.5
    assert Arm("random", judge)("#### 2", "2", row).acc == 1.0
    assert Arm("constant", judge)("#### 2", "", row).broken
    with pytest.raises(RewardError, match="shuffled_gold"):
        Arm("konstant", judge)


def test_shuffled_gold_as_a_grader() -> None:
    verdict = grade_shuffled_gold("#### 5", "2", golds=["5", "5"])
    assert (verdict.score, verdict.acc) == (1.0, 0.0)


def test_gold_files_that_cannot_be_read(tmp_path: Path) -> None:
    arm = Arm("shuffled_gold", load_reward("math").judge, (str(tmp_path / "none.parquet"),))
    with pytest.raises(RewardError, match=r"none\.parquet"):
        arm("#### 2", "2", {"id": "1"})


def flat(acc: float, tokens: float, score: float | None = None) -> dict[str, Any]:
    return {"acc": acc, "score": acc if score is None else score, "response_tokens": tokens}


def test_kimi_length_by_hand() -> None:
    # min 100, max 300: λ is 0.5, 0, −0.5; a wrong one keeps only what is negative.
    group = [flat(1, 100), flat(1, 200), flat(1, 300), flat(0, 100), flat(0, 300)]
    assert kimi_length(group) == pytest.approx([1.5, 1.0, 0.5, 0.0, -0.5])
    assert kimi_length(group, weight=0.1) == pytest.approx([1.05, 1.0, 0.95, 0.0, -0.05])
    assert kimi_length([flat(1, 7), flat(0, 7)]) == [1.0, 0.0]
    assert kimi_length([flat(1, 7, 0.3)]) == [0.3]


def test_group_rewards_by_name_and_file(tmp_path: Path) -> None:
    assert load_group("kimi_length", {"weight": 2})([flat(1, 1), flat(1, 3)]) == [2.0, 0.0]
    file = tmp_path / "g.py"
    file.write_text(
        "def rank(verdicts):\n"
        "    order = sorted(v['score'] for v in verdicts)\n"
        "    return [order.index(v['score']) for v in verdicts]\n"
        "def few(verdicts):\n    return [1.0]\n"
        "def none(verdicts):\n    return [float('nan')] * len(verdicts)\n"
    )
    assert load_group(f"{file}:rank")([flat(0, 1, 0.5), flat(0, 1, 0.1)]) == [1.0, 0.0]
    for name in ("few", "none"):
        with pytest.raises(RewardError, match=r"one finite number.*"):
            load_group(f"{file}:{name}")([flat(0, 1), flat(0, 1)])


@pytest.mark.parametrize(
    ("spec", "options", "says"),
    [
        ("kimi_lenth", {}, "did you mean 'kimi_length'?"),
        ("kimi_length", {"wait": 1}, "did you mean 'weight'?"),
        ("rewards.group:kimi", {}, "did you mean 'kimi_length'?"),
    ],
)
def test_group_rewards_that_do_not_load(spec: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(RewardError) as error:
        load_group(spec, options)
    assert says in str(error.value)
