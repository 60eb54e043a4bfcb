"""The breaker's arithmetic, and the ledger under threads.

1. It trips on the first verdict that makes more than share × window broken ones in a window, and
   not one earlier; the window slides.
2. Verdicts of several workers count together, by the time at which they were given.
3. Under `stop` one broken verdict is enough.
4. A ledger loses nothing between threads, hands over once, and keeps few samples.
"""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from rewards.breaker import KEPT_SAMPLES, Breaker, Ledger
from rewards.verdict import correct, gold_error, timeout, verifier_error

GOOD, BAD, GOLD = "correct", "verifier_error", "gold_error"


def events(statuses: str, start: float = 0.0, gap: float = 1.0) -> list[tuple[object, ...]]:
    """`.` good, `x` verifier_error, `g` gold_error, `t` timeout; one a `gap`."""
    names = {".": GOOD, "x": BAD, "g": GOLD, "t": "timeout"}
    return [(start + gap * n, names[s], 0.001, False) for n, s in enumerate(statuses)]


def test_it_trips_at_the_eleventh_of_512() -> None:
    breaker = Breaker()  # 2% of 512 is 10.24
    assert breaker.add(events("x" * 10 + "." * 500)) is None
    assert breaker.add(events("..", 600)) is None
    assert breaker.add(events("x", 700)) is None  # the window slid: the first x left it
    breaker = Breaker()
    fault = breaker.add(events("x" * 10 + "." * 501 + "x"))
    assert fault is not None and "11 of the last 512" in fault


def test_an_early_death_does_not_wait_for_a_window() -> None:
    breaker = Breaker()
    assert breaker.add(events("x" * 10)) is None
    assert breaker.add(events("x", 20)) is not None


def test_a_full_window_slides() -> None:
    breaker = Breaker(share=0.5, window=4)
    assert breaker.add(events("xx..xx..xx..")) is None
    assert breaker.add(events("xx", 20)) is None  # . . x x
    assert breaker.add(events("x", 30)) is not None  # . x x x


def test_both_broken_kinds_count_and_timeouts_do_not() -> None:
    assert Breaker(share=0.5, window=4).add(events("tttttttt")) is None
    assert Breaker(share=0.5, window=4).add(events("xgx")) is not None


def test_workers_count_together_in_order_of_time() -> None:
    breaker = Breaker(share=0.5, window=4)
    one, other = events("x.x.", 0.0, 2.0), events("x.x.", 0.5, 2.0)
    # Merged: x x . . x x . . — never three of four; one after the other it would be the same
    # multiset, in another order.
    assert breaker.add([*one, *other]) is None
    apart = Breaker(share=0.5, window=4)
    assert apart.add(events("xx..", 0.0)) is None
    assert apart.add([*events("x", 4.0), *events("xx", 4.5)]) is not None


def test_it_stays_tripped_and_counts_reasons() -> None:
    breaker = Breaker(share=0.5, window=2)
    sample = {"status": BAD, "detail": "server down"}
    fault = breaker.add(events("xx"), [sample, sample])
    assert fault is not None and "verifier_error: server down (×2)" in fault
    assert breaker.add(events("........", 10)) is not None
    assert (breaker.total, breaker.broken) == (10, 2)


def test_stop_takes_none() -> None:
    breaker = Breaker(on_error="stop")
    assert breaker.add(events("." * 100)) is None
    assert "on_error is stop" in (breaker.add(events("g", 200)) or "")


@pytest.mark.parametrize(
    "bad", [{"share": 0.0}, {"share": 1.0}, {"window": 0}, {"on_error": "ignore"}]
)
def test_bounds_that_make_no_sense(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="="):
        Breaker(**bad)  # type: ignore[arg-type]


def test_a_ledger_under_threads() -> None:
    ledger = Ledger()
    verdicts = [correct("1"), timeout("slow"), verifier_error("down"), gold_error("none")]

    def record(n: int) -> None:
        sample = {"id": n, "data_source": "a", "gold": "1", "response": "y" * 5000}
        ledger.record(verdicts[n % 4], 0.25, retried=n % 4 > 1, sample=sample)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(record, range(2000)))
    handed = pickle.loads(pickle.dumps(ledger.drain()))  # as Ray hands it over
    assert len(handed["events"]) == 2000
    assert sum(event[1] == "timeout" for event in handed["events"]) == 500
    assert sum(event[3] for event in handed["events"]) == 1000
    assert len(handed["samples"]) == KEPT_SAMPLES
    assert all(len(sample["response"]) <= 400 for sample in handed["samples"])
    assert {sample["status"] for sample in handed["samples"]} <= {BAD, GOLD}
    ledger.state("sandbox/landlock")
    for _ in range(2):  # a fact stays
        assert ledger.drain() == {"events": [], "samples": [], "facts": ["sandbox/landlock"]}
