"""Numbers that stand in two places are the same in both: the demo's table, its file, and README.

1. The arithmetic recipe's table is `expected.json`'s, seed by seed; its differences are theirs.
2. The intervals are Wilson's of n greedy answers, recomputed.
3. README quotes seed 1, and says of as many seeds that their intervals lie apart as do.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rewards.agreement import wilson

ROW = re.compile(
    r"^\| (\d+) \| ([\d.]+)% \[([\d.]+), ([\d.]+)\] \| ([\d.]+)% \[([\d.]+), ([\d.]+)\] "
    r"\| \+([\d.]+) \[",
    re.MULTILINE,
)
N = 600


@pytest.fixture(scope="module")
def expected(repo: Path) -> dict[str, Any]:
    path = repo / "recipes" / "arithmetic" / "expected.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_recipe_s_table_is_its_file_s(repo: Path, expected: dict[str, Any]) -> None:
    text = (repo / "recipes" / "arithmetic" / "README.md").read_text(encoding="utf-8")
    table = {seed: tuple(map(float, rest)) for seed, *rest in ROW.findall(text)}
    seeds = {
        seed: tuple(round(100 * x, 1) for x in (*one["before"], *one["after"]))
        for seed, one in expected["seeds"].items()
    }
    assert {seed: row[:6] for seed, row in table.items()} == seeds
    for *shares, difference in table.values():
        assert difference == pytest.approx(shares[3] - shares[0], abs=0.11)  # of three roundings
    assert f"n={N}" in text and f"n={N}" in expected["metric"]


def test_the_intervals_are_wilson_s(expected: dict[str, Any]) -> None:
    assert len(expected["seeds"]) == 5
    for one in expected["seeds"].values():
        for share, *interval in (one["before"], one["after"]):
            assert list(wilson(round(share * N), N)) == pytest.approx(interval, abs=6e-4)
        assert expected["sft_between"][0] <= one["before"][0] <= expected["sft_between"][1]


def test_readme_quotes_them(repo: Path, expected: dict[str, Any]) -> None:
    text = (repo / "README.md").read_text(encoding="utf-8")

    def shown(values: list[float]) -> str:
        share, low, high = (100 * x for x in values)
        return f"{share:.1f}% [{low:.1f}, {high:.1f}]"

    first = expected["seeds"]["1"]
    assert f"{shown(first['before'])} → {shown(first['after'])}" in text
    seeds = expected["seeds"].values()
    apart = sum(one["before"][2] < one["after"][1] for one in seeds)
    assert apart == len(seeds)
    assert f"intervals apart for each of {apart} seeds" in text
