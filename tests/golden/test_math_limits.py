r"""What mathematics may cost, whatever a response holds.

1. A batch with pathological answers in it ends, and so does each of them alone; each scores 0, as
   `timeout` where the response alone was too costly, and the good ones are right.
2. A gold answer that does not verify against itself is a gold_error, whatever the response says.
3. A verifier that dies is asked twice, and then is a verifier_error, never a 0.
4. A worker holds at most 100 MB and neither torch nor verl nor Ray.
5. The caller's memory is flat over 100,000 verdicts.
"""

from __future__ import annotations

import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from rewards.math import decide
from rewards.math.grade import grade_math
from rewards.workers import Pool, Reply

DEADLINE_S = 5.0  # a good answer's share of a busy machine is within it
# What a busy machine may add before these tests call a batch late. The promise is one second, and
# `tests/bench/test_bench_math_limits.py` measures it.
SLACK_S = 15.0


def _hostile() -> ModuleType:
    """`hostile/mathematics.py` as a module."""
    path = Path(__file__).parent / "hostile" / "mathematics.py"
    spec = importlib.util.spec_from_file_location("hostile_mathematics", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOSTILE = _hostile()


@pytest.fixture(scope="module", autouse=True)
def started() -> None:
    """Workers that are there: their start is no part of a deadline."""
    assert grade_math(r"\boxed{\int_0^1 2x dx}", "1", timeout=60.0).status == "correct"


def test_a_batch_is_done_in_time() -> None:
    good = [(rf"\boxed{{\int_0^{n} 2x dx}}", str(n * n)) for n in range(2, 5)]
    good += [(rf"\boxed{{{n}}}", str(n)) for n in range(40)]
    batch = good[:20] + [(text, "42") for text in HOSTILE.RESPONSES.values()] + good[20:]
    start = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        verdicts = list(threads.map(lambda pair: grade_math(*pair, timeout=DEADLINE_S), batch))
    assert time.monotonic() - start < DEADLINE_S + SLACK_S
    for (response, gold), verdict in zip(batch, verdicts, strict=True):
        assert not verdict.broken, verdict.detail
        assert verdict.score == float((response, gold) in good), (response[:60], verdict)
    said = dict(zip((text for text, _ in batch), verdicts, strict=True))
    late = {n for n, text in HOSTILE.RESPONSES.items() if said[text].status == "timeout"}
    assert late >= HOSTILE.LATE


def test_each_alone_is_done_in_time() -> None:
    alone = HOSTILE.RESPONSES.keys() - HOSTILE.ALGEBRAIC.keys()
    for gold in ("5", r"\sqrt{x}+1", r"\int f(x) dx"):
        for name in sorted(alone):
            start = time.monotonic()
            verdict = grade_math(HOSTILE.RESPONSES[name], gold, timeout=DEADLINE_S)
            assert verdict.status in ("wrong", "unparseable", "timeout"), (gold, name, verdict)
            assert verdict.score == 0.0
            assert time.monotonic() - start < DEADLINE_S + SLACK_S, (gold, name)


def test_a_gold_answer_that_does_not_verify() -> None:
    gold = r"\int_0^1 x^{x^{x^{x}}} \sin(x^x) dx"
    verdict = grade_math(r"\boxed{\int_0^1 x^{x^{x^{x^x}}} dx}", gold, timeout=0.01)
    assert verdict.status == "gold_error"
    assert grade_math(rf"\boxed{{{gold}}}", gold).status == "correct"


@pytest.mark.parametrize(
    ("kinds", "status", "calls"),
    [
        (["crash", "ok"], "correct", 2),
        (["crash", "crash"], "verifier_error", 2),
        (["error"], "verifier_error", 1),
        (["timeout"], "gold_error", 1),
        (["timeout after the gold answer"], "timeout", 1),
        (["memory after the gold answer"], "timeout", 1),
    ],
)
def test_whose_fault_it_is(
    kinds: list[str], status: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def answer(payload: Any, timeout: float) -> Reply:
        seen.append(payload)
        kind, _, after = kinds[len(seen) - 1].partition(" ")
        value = {"same": True, "how": "scripted"} if kind == "ok" else {"gold": True}
        return Reply(kind, value if kind == "ok" or after else None, "scripted")  # type: ignore[arg-type]

    monkeypatch.setattr(decide.POOL, "call", answer)
    decide._formulas.cache_clear()
    verdict = grade_math(r"\boxed{\int_0^7 dx}", r"\int_0^1 7 dx")
    decide._formulas.cache_clear()
    assert (verdict.status, len(seen)) == (status, calls)


def test_workers_are_slim() -> None:
    assert grade_math(r"\boxed{\int_0^1 4x^3 dx}", "1").status == "correct"
    pids = decide.POOL.pids()
    assert len(pids) >= 2
    for pid in pids:
        process = psutil.Process(pid)
        assert process.memory_info().rss < 100 * 2**20
        maps = {Path(part.path).name.partition(".")[0] for part in process.memory_maps()}
        assert not maps & {"libtorch", "libtorch_cpu", "_raylet"}


def rss() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.full
def test_memory_is_flat_over_100000_verdicts() -> None:
    def some(start: int, count: int) -> None:
        for n in range(start, start + count):
            shape = n % 8
            grade_math(f"so {n}\n#### {n}", str(n))
            if shape == 0:
                grade_math(
                    rf"\boxed{{\frac{{{n}}}{{7}}x + \sqrt{{{n}}}}}", rf"\frac{{{n + 1}}}{{7}}x"
                )
            elif shape == 1:
                grade_math(rf"\boxed{{({n}, \pi)}}", rf"(\pi, {n})")
            elif shape == 2:
                grade_math(f"The answer is {n} apples, I think.", "12")
            elif n % 400 == 3:
                grade_math(rf"\boxed{{\int_0^1 {n} dx}}", str(n))

    some(0, 20_000)  # caches are full
    before = rss()
    helpers = sum(psutil.Process(pid).memory_info().rss for pid in decide.POOL.pids())
    some(20_000, 80_000)
    assert rss() - before < 8 * 2**20
    after = sum(psutil.Process(pid).memory_info().rss for pid in decide.POOL.pids())
    assert after - helpers < 40 * 2**20


def test_a_pool_is_started_by_need_alone() -> None:
    assert Pool("rewards.math.symbolic:decide").pids() == []
