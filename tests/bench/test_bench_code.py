"""Programs a second in each tier, beside verl's prime_code, in one run.

The strongest tier's ratio to prime_code is held, its milliseconds and programs a second are
reported against 10 ms and 100 a second.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rewards.code.grade import grade_code
from rewards.sandbox import tiers

pytestmark = pytest.mark.bench
ANSWER = "```python\nfrom typing import List\nn = int(input())\nprint(sum(range(n)))\n```"
ONE = {"inputs": ["10\n"], "outputs": ["45\n"]}
THREE = {"inputs": ["10\n", "11\n", "12\n"], "outputs": ["45\n", "55\n", "66\n"]}
HERE = [tier for tier in tiers.TIERS[:3] if not tiers.probe(tier, tiers.Setting())]


def _medians(judge: Callable[[], object], times: int) -> float:
    """Median milliseconds of one call, alone."""
    judge()
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        judge()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def _rate(judge: Callable[[], object], times: int) -> float:
    """Calls a second from two threads."""
    with ThreadPoolExecutor(2) as pool:
        begun = time.perf_counter()
        for future in [pool.submit(judge) for _ in range(times)]:
            future.result()
    return times / (time.perf_counter() - begun)


@pytest.mark.skipif(not HERE, reason="this machine has no isolation tier")
def test_executions_beside_prime_code(aims: Any) -> None:
    prime = pytest.importorskip("verl.utils.reward_score.prime_code")

    def theirs() -> object:
        return prime.compute_score(ANSWER, THREE)

    score, _ = prime.compute_score(ANSWER, THREE)
    assert score in (1, 1.0, True)
    base = _medians(theirs, 5)
    print(f"\n{'':24}{'1 test ms':>10}{'3 tests ms':>11}{'programs/s, 2 threads':>23}{'ratio':>7}")
    print(f"{'verl prime_code':24}{'':>10}{base:>11.1f}{3000 / base:>23.0f}{1:>7.1f}")
    measured: dict[str, tuple[float, float, float]] = {}
    for tier in HERE:

        def ours(tier: str = tier, gold: object = ONE) -> None:
            assert grade_code(ANSWER, gold, tier=tier, slots=2).score == 1.0

        one, three = _medians(ours, 40), _medians(lambda: ours(gold=THREE), 30)
        rate = 3 * _rate(lambda: ours(gold=THREE), 40)
        single = _rate(ours, 60)
        measured[tier] = one, single, base / three
        print(f"{tier:24}{one:>10.1f}{three:>11.1f}{rate:>23.0f}{base / three:>7.1f}")
        print(f"{'  one test each':24}{'':>21}{single:>23.0f}")
    one, single, ratio = measured[HERE[0]]
    aims.report(f"a program in {HERE[0]}, median", one, most=10, unit="ms")
    aims.report(f"programs of one test in {HERE[0]}, 2 threads", single, least=100, unit="/s")
    aims.ratio("a response of three tests, times as fast as verl's prime_code", ratio, least=3)
