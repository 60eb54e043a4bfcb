"""`make bench`: what a verdict costs beside the grader itself, as ratios measured in one run.

The same responses through the bare grader, the registry, the entry that verl calls, and a
composition of two; each printed as one JSON line.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import pytest

from rewards.math.grade import grade_math
from rewards.registry import load_reward
from rewards.verl_entry import compute_score, drain

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]
REASONING = "First I write down what is given, then I go through it step by step. " * 14  # 1 kB
CASES = [(f"{REASONING}\n#### {n + n % 2}", str(n)) for n in range(500)]  # half of them wrong
ROUNDS = 7
INFO = {"id": "bench/1", "index": "1", "response_tokens": 250, "truncated": False}


def seconds(judge: Callable[[str, str], object]) -> float:
    """Median seconds for all cases."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for response, gold in CASES:
            judge(response, gold)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def test_what_a_verdict_costs_beside_its_grader() -> None:
    registry, exact = load_reward("math").judge, load_reward("exact").judge
    composed = load_reward("0.9*math + 0.1*exact").judge

    def entry(response: str, gold: str) -> object:
        return compute_score("bench", response, gold, INFO, reward="math", options={})

    bare = seconds(grade_math)
    both = bare + seconds(exact)
    found = {
        "grader_us": 1e6 * bare / len(CASES),
        "registry_ratio": seconds(lambda r, g: registry(r, g, INFO)) / bare,
        "entry_ratio": seconds(entry) / bare,
        "composition_ratio": seconds(lambda r, g: composed(r, g, INFO)) / both,
    }
    drain()
    print("\nBENCH " + json.dumps({name: round(value, 3) for name, value in found.items()}))
    assert all(value > 0 for value in found.values())
