"""Labelled answers in mathematics against the grader: each pair is judged, none is left out.

1. No answer that is wrong scores; of those that are right at most 2% do not. They are judged as in
   training: by the registry, with their row.
2. No verdict is broken: a verifier_error or gold_error counts as an error of ours.
3. Half of the pairs were written by a reader who had not seen the grader; no pair is in both files,
   and about half of his are wrong.
4. Judged again, in other order and from several threads, each gets the same verdict.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rewards.compare import Pair, read_battery
from rewards.registry import load_reward
from rewards.verdict import Verdict

HERE = Path(__file__).parent
FILES = ("math_fresh.jsonl", "math_own.jsonl")
MATH = load_reward("math")


def pairs(name: str) -> list[Pair]:
    return read_battery(HERE / name)


def judged(pair: Pair) -> Verdict:
    return MATH.judge(pair.response, pair.gold, pair.row)


@pytest.mark.parametrize("name", FILES)
def test_no_false_positive_and_few_false_negatives(name: str) -> None:
    battery = pairs(name)
    assert len(battery) >= 160
    verdicts = [(pair, judged(pair)) for pair in battery]
    shown = [(p.id, p.gold, p.response[-60:], v.status, v.detail) for p, v in verdicts]
    right = {pair.id for pair, verdict in verdicts if verdict.score == 1.0}
    broken = {pair.id for pair, verdict in verdicts if verdict.broken}
    positives = {pair.id for pair in battery if pair.label}
    assert [line for line in shown if line[0] in broken] == []
    assert [line for line in shown if line[0] in right - positives] == []
    missed = [line for line in shown if line[0] in positives - right]
    assert len(missed) <= 0.02 * len(positives), missed


def test_the_batteries_are_apart_and_large_enough() -> None:
    fresh, own = ({(p.response, p.gold) for p in pairs(name)} for name in FILES)
    assert not fresh & own
    assert len(fresh | own) >= 300
    labels = [p.label for p in pairs("math_fresh.jsonl")]
    assert len(labels) == len(fresh) >= 170  # none twice
    assert 0.45 <= sum(labels) / len(labels) <= 0.55


def test_the_same_verdict_each_time_and_in_threads() -> None:
    battery = [pair for name in FILES for pair in pairs(name)]
    first = {pair.id: judged(pair) for pair in battery}
    random.Random(0).shuffle(battery)
    with ThreadPoolExecutor(8) as threads:
        again = threads.map(judged, battery)
        assert {pair.id: v for pair, v in zip(battery, again, strict=True)} == first
