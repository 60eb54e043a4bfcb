"""Countdown on real rows: a solution found by search scores 1, and spoilt it does not.

TinyZero's test rows in verl's layout, d1's three-number tasks, and the 1362 puzzles of the game of
24 with human solve rates.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rewards.countdown import read_task, solve
from rewards.registry import load_reward

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "countdown"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")


def tinyzero() -> list[Any]:
    table = pq.read_table(DATA / "tinyzero" / "test.parquet")
    return [row["reward_model"]["ground_truth"] for row in table.to_pylist()]


def d1() -> list[Any]:
    lines = (DATA / "d1" / "countdown_cd3_test.jsonl").read_text().split("\n")
    rows = [json.loads(line) for line in lines if line]
    return [{"target": row["output"], "numbers": row["input"].split(",")} for row in rows]


def game24() -> list[Any]:
    with (DATA / "game24" / "24.csv").open(newline="") as file:
        return [{"target": 24, "numbers": row["Puzzles"].split()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("rows", "count"),
    [(tinyzero, 2001), (d1, 256), (game24, 1362)],
    ids=["tinyzero", "d1", "game24"],
)
def test_a_solution_scores_one_and_a_spoilt_one_nothing(rows: Any, count: int) -> None:
    reward = load_reward("countdown")
    golds = rows()
    assert len(golds) == count
    for gold in golds[::4]:
        solution = solve(read_task(gold))
        assert solution is not None, gold
        assert reward.judge(f"<answer>{solution}</answer>", gold).status == "correct", gold
        off = {**gold, "target": int(gold["target"]) + 1}
        assert reward.judge(f"<answer>{solution}</answer>", off).status == "wrong", gold
        spoilt = re.sub(r"\d+", lambda match: str(int(match[0]) + 1), solution, count=1)
        assert reward.judge(f"<answer>{spoilt}</answer>", gold).status == "wrong", gold
