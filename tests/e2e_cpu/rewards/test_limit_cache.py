"""The rate limit and the cache, shared by processes.

1. So many requests a minute over threads and processes together, with a burst after a pause.
2. A turn past the deadline is refused at once and not taken.
3. A server's Retry-After holds everybody back.
4. A cut, foreign or stale file stops nothing.
5. The cache survives writers that race and files that are cut short.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rewards.judge.cache import DiskCache, key_of
from rewards.judge.limit import NoTurn, RateLimit

CHILD = """
import sys, time
from pathlib import Path
from rewards.judge.limit import RateLimit
limit = RateLimit(Path(sys.argv[1]), 600.0, 1)
print(time.monotonic())
for _ in range(4):
    limit.wait(time.monotonic() + 50)
    print(time.monotonic())
"""


def test_processes_share_the_rate(tmp_path: Path, repo: Path) -> None:
    """Three processes, 12 requests, ten a second: by any time no more turns than its tenths.

    A process may be late to say that its turn has come, never early.
    """
    command = [sys.executable, "-c", CHILD, str(tmp_path / "limit")]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=repo) for _ in range(3)
    ]
    said = [[*map(float, child.communicate(timeout=50)[0].split())] for child in children]
    begun = min(times[0] for times in said)
    turns = sorted(turn for times in said for turn in times[1:])
    assert len(turns) == 12
    assert all(turn - begun >= 0.1 * n - 0.001 for n, turn in enumerate(turns))


def test_a_burst_after_a_pause_and_then_the_rate(tmp_path: Path) -> None:
    slow = RateLimit(tmp_path / "slow", 1.0, burst=7)
    begun = time.monotonic()
    for _ in range(7):
        slow.wait(begun + 30)  # at the rate the second one would come after the deadline
    limit = RateLimit(tmp_path / "limit", 120.0, burst=7)
    begun = time.monotonic()
    for _ in range(9):
        limit.wait(begun + 30)
    assert time.monotonic() - begun >= 0.99


def test_threads_share_it_too(tmp_path: Path) -> None:
    limit = RateLimit(tmp_path / "limit", 1200.0)
    begun = time.monotonic()
    threads = [threading.Thread(target=limit.wait, args=(begun + 20,)) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun >= 8 * 0.05 - 0.01


def test_a_turn_past_the_deadline_is_refused_and_not_taken(tmp_path: Path) -> None:
    limit = RateLimit(tmp_path / "limit", 0.06)  # one in a thousand seconds
    limit.wait(time.monotonic() + 30)
    begun = time.monotonic()
    for _ in range(3):
        with pytest.raises(NoTurn, match=r"next turn is in (9\d\d|1000)\.\d s"):
            limit.wait(time.monotonic() + 30)
    assert time.monotonic() - begun < 30


def test_a_pause_holds_everybody_back(tmp_path: Path) -> None:
    begun = time.monotonic()
    RateLimit(tmp_path / "limit", 60_000.0, burst=1).pause(0.3)
    RateLimit(tmp_path / "limit", 60_000.0, burst=1).wait(begun + 30)
    assert time.monotonic() - begun >= 0.29


@pytest.mark.parametrize("text", ["", "garbage", "1e18", "nan", "-5", "0" * 500])
def test_a_file_that_makes_no_sense_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "limit").write_text(text)
    # Where a turn was taken, the next one is in 100 s: past the deadline.
    RateLimit(tmp_path / "limit", 0.6).wait(time.monotonic() + 30)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_limit_that_nothing_passes_is_refused(tmp_path: Path, rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="per_minute > 0"):
        RateLimit(tmp_path / "limit", rate, burst)


def test_the_cache_keeps_what_was_put(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache")
    key = key_of({"model": "m", "messages": [{"role": "user", "content": "日本"}]})
    assert cache.get(key) is None
    cache.put(key, {"content": "日本 \ud800"})
    assert DiskCache(tmp_path / "cache").get(key) == {"content": "日本 \ud800"}
    assert key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1}) != key_of({"a": 2, "b": 1.5})


@pytest.mark.parametrize("text", ["", '{"content": "a', "[1]", "\x00"])
def test_a_file_cut_short_is_a_miss(tmp_path: Path, text: str) -> None:
    cache = DiskCache(tmp_path)
    cache.put("ab" * 32, {"content": "a"})
    (tmp_path / "ab" / f"{'ab' * 32}.json").write_text(text)
    assert cache.get("ab" * 32) is None
    cache.put("ab" * 32, {"content": "b"})
    assert cache.get("ab" * 32) == {"content": "b"}


def test_racing_writers_leave_a_whole_file_and_nothing_else(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    key = "cd" * 32
    seen: set[str] = set()

    def write(number: int) -> None:
        for _ in range(20):
            cache.put(key, {"content": str(number) * 10_000})
            found = cache.get(key)
            seen.add("none" if found is None else str(len(set(found["content"]))))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"1"}
    assert [path.name for path in (tmp_path / "cd").iterdir()] == [f"{key}.json"]
