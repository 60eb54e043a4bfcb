"""The manager's threads: side by side, used again, none lost to a hang, no exit of the process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from rewards.threads import Threads


def test_a_thread_is_used_again() -> None:
    threads = Threads()

    async def one_after_the_other() -> set[str]:
        return {await threads.run(lambda: threading.current_thread().name) for _ in range(50)}

    names = asyncio.run(one_after_the_other())
    assert len(names) == threads.started == 1


def test_eight_at_once_take_as_long_as_one() -> None:
    threads = Threads()

    async def eight() -> list[None]:
        return list(await asyncio.gather(*(threads.run(lambda: time.sleep(2)) for _ in range(8))))

    begun = time.monotonic()
    asyncio.run(eight())
    assert time.monotonic() - begun < 8 and threads.started == 8


def test_a_hung_call_keeps_its_own_thread_only() -> None:
    threads = Threads()
    hang = threading.Event()

    async def work() -> list[int]:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(threads.run(hang.wait), 0.02)
        return [await threads.run(lambda n=n: n) for n in range(100)]  # type: ignore[misc]

    assert asyncio.run(work()) == list(range(100))
    assert threads.started == 4
    hang.set()  # they come back, though their loop is gone
    for _ in range(2000):
        if len(threads._idle) == threads.started:
            break
        time.sleep(0.01)
    assert len(threads._idle) == threads.started


def leave() -> None:
    raise SystemExit(3)


def stop() -> None:
    raise StopIteration


def fail() -> None:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("work", "kind", "says"),
    [
        (leave, RuntimeError, r"SystemExit\(3\)"),
        (stop, RuntimeError, "StopIteration"),
        (fail, KeyError, "x"),
    ],
)
def test_what_is_raised(work: Callable[[], None], kind: type[Exception], says: str) -> None:
    threads = Threads()

    async def once() -> None:
        await threads.run(work)

    with pytest.raises(kind, match=says):
        asyncio.run(once())
